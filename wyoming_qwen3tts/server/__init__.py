"""The servers: one package per protocol, and what they share."""
