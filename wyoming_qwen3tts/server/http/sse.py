"""Server-sent events about work that takes a while."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from fastapi import Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from ...speech import SpeechError, internal_error
from .context import CLIENT_CLOSED_REQUEST, while_there

_LOGGER = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"

ALSO: dict[int | str, dict[str, Any]] = {
    200: {"description": "What came of it, or how far it is", "content": {MEDIA_TYPE: {}}}
}
"""What OpenAPI is told of an answer that may be events."""

Event = dict[str, Any]
Work = Callable[[Callable[[Event], object]], Awaitable[Event]]
"""Does something, tells how far it is, and returns what came of it."""


async def answered(http: Request, work: Work, status: int = 200) -> Response:
    """Do ``work`` for a client, as long as it is there, and answer with what comes of it.

    Who asks for events is told how far it is: then the status is 200, and an error the last event. Else it
    raises what ``work`` raises.
    """
    if MEDIA_TYPE in http.headers.get("accept", ""):
        return stream(work)
    found: list[Event] = []

    async def do() -> None:
        found.append(await work(lambda event: None))

    there = await while_there(http, do())
    return JSONResponse(found[0], status) if there else Response(status_code=CLIENT_CLOSED_REQUEST)


def fault(error: SpeechError) -> Event:
    """Return the event of an error."""
    return {"type": "error", "error": {"message": str(error), "code": error.code}}


def event(content: Event) -> str:
    """Return an event as it goes over the wire."""
    return f"data: {json.dumps(content, ensure_ascii=False)}\n\n"


def stream(work: Work) -> StreamingResponse:
    """Answer with what ``work`` tells, and last ``done`` with what it returns, or ``error``.

    Work goes on only as long as somebody listens. What it tells may come from any thread.
    """
    return StreamingResponse(_told(work), media_type=MEDIA_TYPE, headers={"Cache-Control": "no-store"})


async def _told(work: Work) -> AsyncGenerator[str, None]:
    loop = asyncio.get_running_loop()
    news: asyncio.Queue[Event | None] = asyncio.Queue()

    def tell(content: Event) -> None:
        loop.call_soon_threadsafe(news.put_nowait, content)

    async def do() -> None:
        try:
            tell({"type": "done", **await work(tell)})
        except SpeechError as error:
            tell(fault(error))
        except Exception:
            _LOGGER.exception("What was asked for over HTTP failed")
            tell(fault(internal_error()))
        loop.call_soon(news.put_nowait, None)

    working = asyncio.create_task(do(), name="work")
    try:
        while (content := await news.get()) is not None:
            yield event(content)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
