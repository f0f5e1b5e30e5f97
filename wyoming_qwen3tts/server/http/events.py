"""Server-sent events about work that takes a while."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from ...speech import SpeechError

_LOGGER = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"

ALSO: dict[int | str, dict[str, Any]] = {
    200: {"description": "What came of it, or how far it is", "content": {MEDIA_TYPE: {}}}
}
"""What OpenAPI is told of an answer that may be events."""

Event = dict[str, Any]
Work = Callable[[Callable[[Event], object]], Awaitable[Event]]
"""Does something, tells how far it is, and returns what came of it."""


def wants_events(http: Request) -> bool:
    """Tell whether a client asks for events in the place of one answer."""
    return MEDIA_TYPE in http.headers.get("accept", "")


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
            tell({"type": "error", "error": {"message": str(error), "code": error.code}})
        except Exception:
            _LOGGER.exception("What was asked for over HTTP failed")
            message = "internal error; the server's log has the details"
            tell({"type": "error", "error": {"message": message, "code": "internal-error"}})
        loop.call_soon(news.put_nowait, None)

    working = asyncio.create_task(do(), name="work")
    try:
        while (content := await news.get()) is not None:
            yield event(content)
    finally:
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
