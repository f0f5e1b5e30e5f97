"""The cache of finished utterances, which are stored as audio with the text and the voice's name."""
