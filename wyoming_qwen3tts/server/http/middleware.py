"""Middleware: limits of request bodies and of slow clients, and how an incomplete response ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...speech import SpeechError
from ...telemetry import quote
from .errors import error_body

_LOGGER = logging.getLogger(__name__)

TOO_LARGE, TOO_LATE, STOPPING = 413, 408, 503
LINGER = 2.0
"""Seconds that the rest of a rejected body is read and discarded, so that the client receives the response:
closing a socket with unread input makes the system drop what was sent."""
MAX_LOGGED_PATH = 100
"""Characters of a path in the log."""
UVICORN_INCOMPLETE = "ASGI callable returned without completing response."
"""uvicorn's log message for an incomplete response, which ErrorMiddleware has logged with its reason."""

logging.getLogger("uvicorn.error").addFilter(lambda record: record.msg != UVICORN_INCOMPLETE)


class SlowClientError(OSError):
    """The client read nothing for too long."""


class BodyLimitMiddleware:
    """Rejects bodies that are too large (by Content-Length, else by counting) or arrive too slowly.

    It also ends responses to clients that do not read them.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        limit: Callable[[Scope], int],
        timeout: float,
        send_timeout: float,
    ) -> None:
        """``limit``: returns the bytes a request's body may have.

        ``timeout``: seconds in which the body has to arrive. ``send_timeout``: seconds in which the client
        has to read each part of the response.
        """
        self._app = app
        self._limit = limit
        self._timeout = timeout
        self._send_timeout = send_timeout

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, self._limit_send(send))
            return
        limit = self._limit(scope)
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if not declared.isdigit() or int(declared) > limit:
            await _reject(TOO_LARGE, limit, scope, receive, send)
            return
        size, status = 0, 0
        deadline = asyncio.get_running_loop().time() + self._timeout
        complete = begun = False

        async def counting_receive() -> Message:
            nonlocal size, status, complete
            if status:
                raise HTTPException(status)
            try:
                async with asyncio.timeout_at(None if complete else deadline):
                    message = await receive()
            except TimeoutError:
                status = TOO_LATE
                raise HTTPException(status) from None
            size += len(message.get("body", b""))
            complete = complete or not message.get("more_body", False)
            if size > limit:
                status = TOO_LARGE
                raise HTTPException(status)
            return message

        async def filtered_send(message: Message) -> None:
            nonlocal begun
            if begun or not status:  # the application's own response to a rejected body is dropped
                begun = True
                await limited_send(message)

        limited_send = self._limit_send(send)
        try:
            await self._app(scope, counting_receive, filtered_send)
        except HTTPException:
            if not status:
                raise
        if status and not begun:
            await _reject(status, limit, scope, receive, send)

    def _limit_send(self, send: Send) -> Send:
        """Return ``send`` with a timeout, which raises SlowClientError."""

        async def sending(message: Message) -> None:
            try:
                async with asyncio.timeout(self._send_timeout):
                    await send(message)
            except TimeoutError as error:
                raise SlowClientError(f"the client read nothing for {self._send_timeout:g} s") from error

        return sending


async def _reject(status: int, limit: int, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request whose body is too large or late."""
    message, code = f"the body has over {limit} bytes, the limit for this path", "body-too-large"
    if status == TOO_LATE:
        message, code = "the body did not arrive in time (--event-timeout)", "timeout"
    answer = JSONResponse(error_body(message, code, status), status)
    await respond_without_reading(answer, scope, receive, send)


async def respond_without_reading(answer: Response, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer a request before its body is read; discard the body meanwhile, then close the connection."""

    async def lingering(part: Message) -> None:
        if part["type"] == "http.response.body":
            await send({**part, "more_body": True})
            await _discard(receive)
            part = {"type": "http.response.body", "body": b""}
        await send(part)

    answer.headers["Connection"] = "close"
    await answer(scope, receive, lingering)


async def _discard(receive: Receive) -> None:
    """Read a body to its end, for LINGER seconds at most."""
    try:
        async with asyncio.timeout(LINGER):
            while (await receive()).get("more_body", False):
                pass
    except TimeoutError:
        pass


class ErrorMiddleware:
    """The outermost middleware: leaves responses that fail incomplete, logs why, and adds default headers."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        """``headers``: added to every response that does not set them."""
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
        except asyncio.CancelledError:  # at the server's stop; uvicorn would log it as an exception
            _LOGGER.warning('http: response incomplete path=%s error="the service is stopping"', _path(scope))
            if not begun and scope["type"] == "http":
                answer = JSONResponse(error_body("the service is stopping", "stopping", STOPPING), STOPPING)
                await answer(scope, receive, sending)
        except Exception as error:
            fault = error.__cause__ or error  # Starlette wraps errors that occur after the response has begun
            if isinstance(fault, SpeechError | OSError):
                _LOGGER.warning("http: response incomplete path=%s error=%s", _path(scope), quote(fault))
            else:
                _LOGGER.exception("http: internal error path=%s", _path(scope))


def _path(scope: Scope) -> str:
    """Return a request's path for the log: on one line, at most MAX_LOGGED_PATH characters."""
    return quote(repr(scope.get("path", "")[:MAX_LOGGED_PATH])[1:-1])
