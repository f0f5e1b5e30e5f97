"""uvicorn on the service's own event loop. All of this package is imported only where it is asked for."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator

import uvicorn
from fastapi import FastAPI

from ... import __version__
from ...synthesizer import Synthesizer
from ...voices.register import Voices
from ..listen import BACKLOG, CannotListen
from . import access, faults, speech

HOST = "127.0.0.1"
"""Who may come in is not asked yet, so that only this machine may."""


def application(synthesizer: Synthesizer, voices: Voices, *, max_text: int, max_bytes: int) -> FastAPI:
    """Return all that is served over HTTP. ``max_text``: characters, ``max_bytes`` of one request."""
    app = FastAPI(title="wyoming-qwen3tts", version=__version__)
    app.include_router(speech.routes(synthesizer, voices, max_text=max_text))
    app.add_middleware(access.BodyLimit, most=max_bytes)
    faults.handle(app)
    return app


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are the service's


class HttpServer:
    """HTTP on one port."""

    def __init__(self, app: FastAPI, port: int) -> None:
        """``port``: 0 is any that is free."""
        self.port = port
        self._app = app
        self._server: uvicorn.Server | None = None
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Listen. Raises CannotListen."""
        try:
            opened = socket.create_server((HOST, self.port), backlog=BACKLOG)
        except OSError as error:
            raise CannotListen(
                f"cannot listen on http://{HOST}:{self.port}: {error.strerror or error}"
            ) from error
        self.port = opened.getsockname()[1]
        config = uvicorn.Config(
            self._app, lifespan="off", log_config=None, access_log=False, server_header=False, ws="none"
        )
        self._server = _Server(config)
        self._task = asyncio.create_task(self._server.serve([opened]), name="http")

    async def stop(self, timeout: float) -> None:
        """Accept nobody more; let what is said end for up to ``timeout`` seconds, break off the rest."""
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        done, _ = await asyncio.wait({self._task}, timeout=timeout)
        if not done:
            self._server.force_exit = True
            await asyncio.wait({self._task}, timeout=timeout)
            self._task.cancel()
