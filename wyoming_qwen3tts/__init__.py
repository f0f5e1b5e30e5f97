"""Wyoming text-to-speech service around Qwen3-TTS."""

__version__ = "0.1.0"
