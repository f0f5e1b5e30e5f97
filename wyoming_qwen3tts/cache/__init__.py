"""The cache of finished utterances. It knows keys and bytes of audio; voices are names only."""
