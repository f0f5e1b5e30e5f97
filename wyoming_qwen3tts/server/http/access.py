"""What may come in: bodies of a size."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .faults import body

TOO_LARGE = 413


class BodyLimit:
    """Refuses bodies that are too large, before they are read where they say so, else as soon as they are."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        """``most``: bytes."""
        self._app = app
        self._most = most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > self._most:
            await self._refuse(scope, receive, send)
            return
        size = 0

        async def counted() -> Message:
            nonlocal size
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._most:
                raise HTTPException(TOO_LARGE)
            return message

        async def answered(message: Message) -> None:
            if size <= self._most:
                await send(message)  # else what the application makes of it is nobody's business

        await self._app(scope, counted, answered)
        if size > self._most:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Any, receive: Receive, send: Send) -> None:
        message = f"the body has over {self._most} bytes"
        answer = JSONResponse(
            body(message, "body-too-large", TOO_LARGE), TOO_LARGE, headers={"Connection": "close"}
        )
        await answer(scope, receive, send)
