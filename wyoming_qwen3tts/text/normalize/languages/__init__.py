"""One class for each language: its vocabulary, its words for numbers, dates and the like, and its own rules."""
