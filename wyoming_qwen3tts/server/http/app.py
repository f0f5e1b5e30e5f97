"""The HTTP application: its routes and its middleware."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastapi import APIRouter, FastAPI
from fastapi.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Scope

from ... import __version__
from ...cache.tiers import MEGABYTE
from ...config.settings import Settings
from ..web import page
from . import batch, cache, errors, health, speech, voices, websocket
from .auth import PUBLIC_PATHS, ApiKeys, Authenticator, AuthMiddleware
from .context import AppContext
from .middleware import BodyLimitMiddleware, ErrorMiddleware
from .reference_audio import MAX_ENCODED_LENGTH

SPEECH_PATH = "/v1/audio/speech"
"""Its bodies may contain a reference recording."""
UPLOAD_PATH = "/v1/audio/voices"
"""Its bodies are forms with a recording."""
RESPONSE_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; connect-src 'self'; worker-src 'self'; "
    "base-uri 'self'; form-action 'self'; frame-ancestors 'self'",
    "X-Frame-Options": "SAMEORIGIN",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(self)",
    "Cache-Control": "no-store",
}
"""Default headers of every response: not cached, and not readable for other sites' pages."""
EXPOSED_HEADERS = (
    "Content-Disposition",
    "X-Request-Id",
    "X-First-Audio-Ms",
    "X-Total-Ms",
    "X-Audio-Seconds",
    "X-RTF",
    "X-Cache",
    "X-Engine",
    "X-Fallback",
    "Retry-After",
)
ROUTES: Sequence[Callable[[AppContext], APIRouter]] = (
    speech.routes,
    websocket.routes,
    batch.routes,
    voices.routes,
    cache.routes,
    health.routes,
)


def create_app(context: AppContext) -> ASGIApp:
    """Return the application, without middleware: every request is served."""
    app = FastAPI(
        title="wyoming-qwen3tts",
        version=__version__,
        docs_url=None,  # these pages load scripts from other sites
        redoc_url=None,
        responses={
            "4XX": {"description": "Client error", "model": errors.ErrorResponse},
            "5XX": {"description": "Server error", "model": errors.ErrorResponse},
        },
    )
    for routes in ROUTES:
        app.include_router(routes(context))
    app.include_router(page.routes())
    errors.add_error_handlers(app)
    return app


def add_middleware(app: ASGIApp, settings: Settings, keys: ApiKeys) -> ASGIApp:
    """Return ``app`` behind authentication, body limits and error handling."""
    upload_bytes = round(settings.http.max_upload * MEGABYTE)

    def body_limit(scope: Scope) -> int:
        if scope["path"] == SPEECH_PATH:
            return settings.limits.max_event_bytes + MAX_ENCODED_LENGTH
        return upload_bytes if scope["path"] == UPLOAD_PATH else settings.limits.max_event_bytes

    authenticator = Authenticator(
        keys,
        rate=settings.http.rate_limit,
        origins=settings.http.cors_origins,
        ingress_port=settings.http.ingress_port or None,
    )
    app = BodyLimitMiddleware(
        app,
        limit=body_limit,
        timeout=settings.limits.event_timeout,
        send_timeout=settings.limits.send_timeout,
    )
    app = AuthMiddleware(app, authenticator, PUBLIC_PATHS | page.paths())
    if settings.http.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.http.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),  # OpenAI's client sends a dozen x-stainless-* headers
            allow_private_network=True,
            expose_headers=EXPOSED_HEADERS,
        )
    return ErrorMiddleware(app, RESPONSE_HEADERS)
