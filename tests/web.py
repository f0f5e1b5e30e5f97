"""What tests of the HTTP door share: a service with one, and a client before it."""

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
    """Return a port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


class Web(httpx2.AsyncClient):
    """A client of the HTTP door of a service, which has another door at ``wyoming``."""

    wyoming = ""

    @property
    def port(self) -> int:
        """Where the door is."""
        assert self.base_url.port is not None
        return self.base_url.port


@asynccontextmanager
async def web(engines: Sequence[Engine] | None, **settings: Any) -> AsyncIterator[Web]:
    """A service with an HTTP door, and a client of it."""
    port = settings.setdefault("http_port", free_port())
    async with service(engines, **settings) as uri:
        # No certificates: reading them takes longer than most tests.
        async with Web(base_url=f"http://127.0.0.1:{port}", timeout=HANG, verify=False) as client:
            client.wyoming = uri
            yield client


def code_of(answer: httpx2.Response) -> str:
    """Return the code of an answer that is an error in OpenAI's form."""
    error = answer.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert answer.status_code >= 400
    return str(error["code"])


def events_of(lines: Iterable[str]) -> list[dict[str, Any]]:
    """Return the server-sent events in the lines of an answer."""
    return [json.loads(line.removeprefix("data: ")) for line in lines if line]
