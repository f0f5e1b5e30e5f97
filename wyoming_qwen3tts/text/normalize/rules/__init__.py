"""Rules that all languages share, one module for each kind of text."""
