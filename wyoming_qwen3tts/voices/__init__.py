"""The voices of the house, and how one is found."""
