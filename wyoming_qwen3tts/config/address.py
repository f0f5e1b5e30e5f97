"""Addresses to listen on and to connect to."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed URI: ``tcp://HOST:PORT``, ``unix:///PATH`` or ``stdio://``."""

    scheme: str
    host: str = ""
    port: int = 0
    path: str = ""

    @classmethod
    def parse(cls, uri: str) -> Address:
        """Return what ``uri`` says. Raises ValueError for anything else."""
        parts = urlsplit(uri)
        if uri == "stdio://":
            return cls("stdio")
        if parts.scheme == "unix" and not parts.netloc and parts.path:
            return cls("unix", path=parts.path)
        if parts.scheme == "tcp" and parts.hostname and not parts.path and parts.port is not None:
            return cls("tcp", host=parts.hostname, port=parts.port)
        raise ValueError(uri)

    def __str__(self) -> str:
        if self.scheme == "tcp":
            return (
                f"tcp://[{self.host}]:{self.port}" if ":" in self.host else f"tcp://{self.host}:{self.port}"
            )
        return f"{self.scheme}://{self.path}"
