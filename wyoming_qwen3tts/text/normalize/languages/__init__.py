"""One class per language: its words and its own rules."""
