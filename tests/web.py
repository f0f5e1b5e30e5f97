"""Helpers of the HTTP tests: a service with an HTTP server, and a client of it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.house import HANG, service
from wyoming_qwen3tts.engines.base import Engine


def free_port(host: str = "127.0.0.1") -> int:
    """Return an unused TCP port."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class Web(httpx2.AsyncClient):
    """An HTTP client of a service."""

    wyoming = ""
    """URI of the service's Wyoming server."""

    @property
    def port(self) -> int:
        """The service's HTTP port."""
        assert self.base_url.port is not None
        return self.base_url.port


@asynccontextmanager
async def web(engines: Sequence[Engine] | None, **settings: Any) -> AsyncIterator[Web]:
    """Run a service with an HTTP server; give a client of it."""
    port = settings.setdefault("http_port", free_port())
    async with service(engines, **settings) as uri:
        # No certificates: reading them takes longer than most tests.
        async with Web(base_url=f"http://127.0.0.1:{port}", timeout=HANG, verify=False) as client:
            client.wyoming = uri
            yield client


def code_of(answer: httpx2.Response) -> str:
    """Return the code of an error response, and check that it has OpenAI's form."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert answer.status_code >= 400
    return str(error["code"])


def events_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the server-sent events in the lines of a response."""
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]
