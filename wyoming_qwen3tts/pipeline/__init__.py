"""From a request to audio: the loop that turns text into PCM."""
