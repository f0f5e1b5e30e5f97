"""Voices: names, the catalog of all voices, the live registry, custom voices on disk, styles, levels."""
