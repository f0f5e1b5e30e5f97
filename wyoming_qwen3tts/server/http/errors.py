"""Error responses in OpenAI's form: a status, and ``{"error": {"message": …}}``."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from ...speech import SpeechError, internal_error
from .model import describe_error

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
"""HTTP statuses by SpeechError code; all other codes are 400."""
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
"""The invalid parameter of a request, by SpeechError code."""
CODES = {400: "invalid-request", 404: "not-found", 405: "method-not-allowed"}
"""Error codes by status, for errors that the web framework raises."""


class Error(BaseModel):
    """The error object of a response."""

    message: str
    """For people."""
    type: str
    param: str | None
    """The invalid parameter of the request."""
    code: str | None
    """For programs."""


class ErrorResponse(BaseModel):
    """The body of an error response."""

    error: Error


def error_body(message: str, code: str, status: int, param: str | None = None) -> dict[str, Any]:
    """Return the body of an error response. ``param``: the invalid parameter of the request."""
    kind = (
        "invalid_request_error" if status < 429 else "rate_limit_error" if status == 429 else "server_error"
    )
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def _methods(app: FastAPI, path: str) -> list[str]:
    """Return the methods that a path supports."""
    found: set[str] = set()
    for template, methods in app.openapi()["paths"].items():
        pattern, _, _ = compile_path(template)
        if pattern.match(path):
            found |= {method.upper() for method in methods}
    return sorted(found)


def _is_json(content_type: str | None) -> bool:
    media_type = (content_type or "").partition(";")[0].strip().lower()
    return media_type.startswith("application/") and media_type.endswith(("/json", "+json"))


def add_error_handlers(app: FastAPI) -> None:
    """Make an application answer all errors in this form."""

    def answer(
        message: str, code: str, status: int, param: str | None = None, headers: Any = None
    ) -> JSONResponse:
        return JSONResponse(error_body(message, code, status, param), status, headers)

    def answer_speech_error(error: SpeechError) -> JSONResponse:
        status = STATUS.get(error.code, 400)
        headers = {"Retry-After": "1"} if status == 429 else None
        return answer(str(error), error.code, status, PARAMS.get(error.code), headers)

    @app.exception_handler(SpeechError)
    async def handle_speech_error(_: Request, error: SpeechError) -> JSONResponse:
        return answer_speech_error(error)

    @app.exception_handler(RequestValidationError)
    async def handle_validation_error(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        if first["loc"] == ("body",) and not _is_json(given := request.headers.get("content-type")):
            found = "none" if given is None else repr(given[:80])
            message = f"send the body as JSON with the header Content-Type: application/json, not {found}"
            return answer(message, "unsupported-media-type", UNSUPPORTED_MEDIA_TYPE)
        field = next((str(part) for part in first["loc"][1:2] if isinstance(part, str)), None)
        return answer(f"{field or 'the body'}: {describe_error(first)}", "invalid-request", 400, field)

    @app.exception_handler(HTTPException)
    async def handle_http_error(request: Request, error: HTTPException) -> JSONResponse:
        code, headers = CODES.get(error.status_code, "http-error"), dict(error.headers or {})
        if error.status_code == METHOD_NOT_ALLOWED and (methods := _methods(app, request.url.path)):
            headers["Allow"] = ", ".join(methods)  # of all routes of this path; Starlette lists the first's
        return answer(str(error.detail), code, error.status_code, headers=headers)

    @app.exception_handler(Exception)
    async def handle_exception(_: Request, error: Exception) -> JSONResponse:
        return answer_speech_error(internal_error())
