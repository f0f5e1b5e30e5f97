"""The options: their types, their groups, where they are read from and how they are described."""
