"""Qwen3-TTS: a small inference engine around the official model. ``engine`` is its face."""
