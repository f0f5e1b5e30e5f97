"""Server-sent events that report the progress of long operations."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from ...speech import SpeechError, internal_error
from .context import CLIENT_CLOSED_REQUEST, run_while_connected

_LOGGER = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"

EVENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The result, or progress events that end with it", "content": {MEDIA_TYPE: {}}}
}
"""The OpenAPI description of a response that may be events."""

Event = dict[str, Any]
Work = Callable[[Callable[[Event], object]], Awaitable[Event]]
"""An operation: is given a function to report progress with, and returns its result."""


async def respond(http: Request, work: Work, status: int = 200) -> Response:
    """Run ``work`` while the client is connected, and respond with its result.

    A client that accepts events gets its progress: then the status is 200, and an error is the last event.
    Else this raises what ``work`` raises.
    """
    if MEDIA_TYPE in http.headers.get("accept", ""):
        return _stream(work)
    results: list[Event] = []

    async def run() -> None:
        results.append(await work(lambda event: None))

    connected = await run_while_connected(http, run())
    return JSONResponse(results[0], status) if connected else Response(status_code=CLIENT_CLOSED_REQUEST)


def error_event(error: SpeechError) -> Event:
    """Return the event of an error."""
    return {"type": "error", "error": {"message": str(error), "code": error.code}}


def encode_event(event: Event) -> str:
    """Return the text of an event."""
    return f"data: {json.dumps(event, ensure_ascii=False)}\n\n"


def _stream(work: Work) -> StreamingResponse:
    """Return a response of the events ``work`` reports, and last ``done`` with its result, or ``error``.

    A disconnect cancels ``work``. It may report from any thread.
    """
    return StreamingResponse(_events(work), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def _events(work: Work) -> AsyncGenerator[str, None]:
    loop = asyncio.get_running_loop()
    events: asyncio.Queue[Event | None] = asyncio.Queue()

    def report(event: Event) -> None:
        loop.call_soon_threadsafe(events.put_nowait, event)

    async def run() -> None:
        try:
            report({"type": "done", **await work(report)})
        except SpeechError as error:
            report(error_event(error))
        except Exception:
            _LOGGER.exception("http: internal error in an operation with progress events")
            report(error_event(internal_error()))
        loop.call_soon(events.put_nowait, None)

    working = asyncio.create_task(run(), name="work")
    try:
        while (event := await events.get()) is not None:
            yield encode_event(event)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
