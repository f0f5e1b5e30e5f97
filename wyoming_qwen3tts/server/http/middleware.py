"""What a request may take, bytes and time; and how an answer ends that cannot be whole."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...speech import SpeechError
from .errors import body

_LOGGER = logging.getLogger(__name__)

TOO_LARGE, TOO_LATE, STOPPING = 413, 408, 503
LINGER = 2.0
"""Seconds that the rest of a body is thrown away which is not wanted, so that its sender hears why: closing a
socket with unread input makes the system drop what was sent."""
LONGEST_PATH = 100
"""Characters of a path in the log."""
BROKEN_OFF = "ASGI callable returned without completing response."
"""What uvicorn logs of an answer that has no end: we have said it already, and better."""

logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != BROKEN_OFF)


class SlowClientError(OSError):
    """A client that reads nothing."""


class BodyLimitMiddleware:
    """Refuses bodies that are too large, before they are read if they say so, else as soon as they are.

    And bodies that do not come, and clients that do not read.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        most: Callable[[Scope], int],
        seconds: float,
        send_timeout: float,
    ) -> None:
        """``most``: bytes of a request's body, which may take ``seconds``."""
        self._app = app
        self._most = most
        self._seconds = seconds
        self._send_timeout = send_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, self._patient(send))
            return
        most = self._most(scope)
        said = dict(scope["headers"]).get(b"content-length", b"0")
        if not said.isdigit() or int(said) > most:
            await _refuse(TOO_LARGE, most, scope, receive, send)
            return
        size, status = 0, 0
        until = asyncio.get_running_loop().time() + self._seconds
        whole = begun = False

        async def counted() -> Message:
            nonlocal size, status, whole
            if status:
                raise HTTPException(status)
            try:
                async with asyncio.timeout_at(None if whole else until):
                    message = await receive()
            except TimeoutError:
                status = TOO_LATE
                raise HTTPException(status) from None
            size += len(message.get("body", b""))
            whole = whole or not message.get("more_body", False)
            if size > most:
                status = TOO_LARGE
                raise HTTPException(status)
            return message

        async def answered(message: Message) -> None:
            nonlocal begun
            if begun or not status:  # else what the application makes of it is nobody's business
                begun = True
                await patient(message)

        patient = self._patient(send)
        try:
            await self._app(scope, counted, answered)
        except HTTPException:
            if not status:
                raise
        if status and not begun:
            await _refuse(status, most, scope, receive, send)

    def _patient(self, send: Send) -> Send:
        """Return what sends, unless nobody reads. It raises SlowClientError."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._send_timeout):
                    await send(message)
            except TimeoutError as error:
                raise SlowClientError(f"it read nothing for {self._send_timeout:g} s") from error

        return sending


async def _refuse(status: int, most: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Say why a body is not read, and throw the rest of it away meanwhile."""
    message, code = f"the body has over {most} bytes", "body-too-large"
    if status == TOO_LATE:
        message, code = "the body did not come in time", "timeout"
    answer = JSONResponse(body(message, code, status), status)
    await unread(answer, scope, receive, send)


async def unread(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body is not wanted, and throw it away meanwhile; then close."""

    async def lingering(part: Message) -> None:
        if part["type"] == "http.response.body":
            await send({**part, "more_body": True})
            await _discard(receive)
            part = {"type": "http.response.body", "body": b""}
        await send(part)

    answer.headers["Connection"] = "close"
    await answer(scope, receive, lingering)


async def _discard(receive: Receive) -> None:
    """Read a body to its end, or for LINGER."""
    try:
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass


class ErrorMiddleware:
    """The outermost: an answer that cannot be whole has no end, and the log says why in one line."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        """``headers``: of every response that has not got them."""
        self._app = app
        self._headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] in {"http.response.start", "websocket.http.response.start"}:
                own = list(message.get("headers", []))
                there = {name.lower() for name, _ in own}
                message = {
                    **message,
                    "headers": own + [pair for pair in self._headers if pair[0] not in there],
                }
            await send(message)

        try:
            await self._app(scope, receive, sending)
        except asyncio.CancelledError:  # at the service's end; uvicorn would take it for a fault
            _LOGGER.warning("%s: broken off: the service is stopping", _path(scope))
            if not begun and scope["type"] == "http":
                answer = JSONResponse(body("the service is stopping", "stopping", STOPPING), STOPPING)
                await answer(scope, receive, sending)
        except Exception as error:
            fault = error.__cause__ or error  # Starlette's own says only that it came too late for an answer
            if isinstance(fault, SpeechError | OSError):
                _LOGGER.warning("%s: broken off: %s", _path(scope), fault)
            else:
                _LOGGER.exception("%s: failed", _path(scope))


def _path(scope: Scope) -> str:
    """Return a request's path for the log: on one line, and no longer than that."""
    return repr(scope.get("path", "")[:LONGEST_PATH])[1:-1]
