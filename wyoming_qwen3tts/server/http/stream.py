"""An answer that is sent while it is made."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping

from fastapi.responses import StreamingResponse
from starlette.types import Receive, Scope, Send


class Stream(StreamingResponse):
    """A response whose maker is told in any case when nobody wants it any more.

    A generator would not be: one that was never begun has no end either, and one that is left in the middle
    has it whenever it is collected.
    """

    def __init__(
        self,
        pieces: AsyncGenerator[bytes | str, None],
        media_type: str,
        headers: Mapping[str, str],
        close: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(pieces, media_type=media_type, headers=headers)
        self._pieces = pieces
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._pieces.aclose()
            await self._close()
