"""Qwen3-TTS: an inference engine for the official model; ``engine.Qwen3Engine`` is its interface."""
