"""Measurements against other servers: no part of the package, and no tests."""
