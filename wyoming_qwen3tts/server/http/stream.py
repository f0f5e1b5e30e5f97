"""A streaming response that always releases its source."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class ClosingStreamingResponse(StreamingResponse):
    """A streaming response that closes its source in any case, also if the client disconnects.

    Starlette leaves that to garbage collection: a generator that was never started runs no ``finally``, and
    one that was left in the middle runs it whenever it is collected.
    """

    def __init__(
        self,
        chunks: AsyncGenerator[bytes | str, None],
        media_type: str,
        headers: Mapping[str, str],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        """``close``: called after the response, complete or not."""
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._chunks = chunks
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._chunks.aclose()
            await self._close()
