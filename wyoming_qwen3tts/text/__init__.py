"""From what is written to what is said. Knows nothing of sound or clients."""
