"""Engines turn utterances into sound. None of them knows who asked."""
