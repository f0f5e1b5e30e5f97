"""What went wrong, as OpenAI's clients understand it: a status, and ``{"error": {"message": …}}``."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from ...speech import SpeechError, internal_error
from .model import reason

STATUS = {
    "busy": 429,
    "stopping": 503,
    "engine-unavailable": 503,
    "device-lost": 503,
    "deadline-exceeded": 504,
    "voice-lost": 503,
    "tempo-failed": 500,
    "internal-error": 500,
    "text-too-long": 413,
    "answer-too-long": 413,
    "no-room": 507,
    "model-not-found": 404,
    "unknown-voice": 404,
    "duplicate-name": 409,
    "duplicate-id": 409,
    "not-possible": 409,
    "not-kept": 409,
    "not-dropped": 500,
    "data-directory": 507,
    "cut-short": 500,
}
"""SpeechError's codes that are not the request's fault, or have a status of their own; all others are 400."""


METHOD_NOT_ALLOWED = 405
UNSUPPORTED_MEDIA_TYPE = 415
PARAMS = {
    "bad-name": "name",
    "duplicate-name": "name",
    "bad-recording": "file",
    "bad-ref-audio": "ref_audio",
    "no-text": "text",
    "voice-not-found": "voice",
    "model-not-found": "model",
    "text-too-long": "input",
}
"""The part of a request that is to blame, where a SpeechError's code says so."""
CODES = {400: "invalid-request", 404: "not-found", 405: "method-not-allowed"}
"""Of what is wrong before anybody looks into a request."""


class Error(BaseModel):
    """What went wrong."""

    message: str
    """For people."""
    type: str
    param: str | None
    """The part of the request that is to blame."""
    code: str | None
    """For programs."""


class ErrorResponse(BaseModel):
    """The answer to a request that cannot be served."""

    error: Error


def body(message: str, code: str, status: int, param: str | None = None) -> dict[str, Any]:
    """Return the error object. ``param``: the part of the request that is to blame."""
    kind = (
        "invalid_request_error" if status < 429 else "rate_limit_error" if status == 429 else "server_error"
    )
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods with which a path can be asked for."""
    found: set[str] = set()
    for template, methods in app.openapi()["paths"].items():
        pattern, _, _ = compile_path(template)
        if pattern.match(path):
            found |= {method.upper() for method in methods}
    return sorted(found)


def _is_json(content_type: str | None) -> bool:
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return media_type.startswith("application/") and media_type.endswith(("/json", "+json"))


def handle(app: FastAPI) -> None:
    """Let an application answer so, whatever goes wrong."""

    def answer(
        message: str, code: str, status: int, param: str | None = None, headers: Any = None
    ) -> JSONResponse:
        return JSONResponse(body(message, code, status, param), status, headers)

    def refused(error: SpeechError) -> JSONResponse:
        status = STATUS.get(error.code, 400)
        headers = {"Retry-After": "1"} if status == 429 else None
        return answer(str(error), error.code, status, PARAMS.get(error.code), headers)

    @app.exception_handler(SpeechError)
    async def speech(_: Request, error: SpeechError) -> JSONResponse:
        return refused(error)

    @app.exception_handler(RequestValidationError)
    async def validation(asked: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["loc"] == ("body",) and not _is_json(given := asked.headers.get("content-type")):
            came = "without one" if given is None else f"with {given[:80]!r}"
            message = f"send the body as JSON with the header Content-Type: application/json (it came {came})"
            return answer(message, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE)
        field = next((str(part) for part in first["loc"][1:2] if isinstance(part, str)), None)
        return answer(f"{field or 'the body'}: {reason(first)}", "invalid-request", 400, field)

    @app.exception_handler(HTTPException)
    async def http(asked: Request, error: HTTPException) -> JSONResponse:
        code, headers = CODES.get(error.status_code, "http-error"), dict(error.headers or {})
        if error.status_code == METHOD_NOT_ALLOWED and (methods := _methods(app, asked.url.path)):
            headers["Allow"] = ", ".join(methods)  # of all routes of this path, not of the first alone
        return answer(str(error.detail), code, error.status_code, headers=headers)

    @app.exception_handler(Exception)
    async def anything(_: Request, error: Exception) -> JSONResponse:
        return refused(internal_error())
