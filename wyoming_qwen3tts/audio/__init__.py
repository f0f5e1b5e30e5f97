"""Sound as numbers: everything here works on PCM and knows nothing of text or clients."""
