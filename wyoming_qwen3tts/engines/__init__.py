"""Engines, which turn utterances into audio, their pool and their supervision."""
