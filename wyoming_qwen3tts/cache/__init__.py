"""What was said before: finished utterances, by key. It knows bytes and keys, and nothing of voices."""
