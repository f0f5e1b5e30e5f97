"""The doors of the house, one file a protocol."""
