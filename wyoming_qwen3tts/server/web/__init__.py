"""The page at ``/``: static files without dependencies, and what serves them."""
