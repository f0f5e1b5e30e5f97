"""The Wyoming protocol over TCP, Unix sockets and standard input."""
