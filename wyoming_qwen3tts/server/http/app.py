"""All that is served over HTTP, and who may ask for it."""

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
from .auth import OPEN, Authenticator, AuthMiddleware, Keys
from .context import AppContext
from .middleware import BodyLimitMiddleware, ErrorMiddleware
from .reference_audio import LARGEST_ENCODED

SPEECH = "/v1/audio/speech"
"""The path that takes a recording beside a text."""
UPLOADS = "/v1/audio/voices"
"""The path that takes more than words."""
HEADERS = {
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
"""Of every response that says nothing else: what it holds is for whoever asked, and no page may use it."""
EXPOSED = (
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


def application(context: AppContext) -> ASGIApp:
    """Return what serves requests, whoever sends them."""
    app = FastAPI(
        title="wyoming-qwen3tts",
        version=__version__,
        docs_url=None,  # they fetch scripts from elsewhere
        redoc_url=None,
        responses={
            "4XX": {"description": "What is wrong with the request", "model": errors.ErrorResponse},
            "5XX": {"description": "What is wrong with the service", "model": errors.ErrorResponse},
        },
    )
    for routes in ROUTES:
        app.include_router(routes(context))
    app.include_router(page.routes())
    errors.handle(app)
    return app


def guarded(app: ASGIApp, settings: Settings, keys: Keys) -> ASGIApp:
    """Return ``app`` for those who may come in, within what they may take."""
    uploads = round(settings.http.max_upload * MEGABYTE)

    def most(scope: Scope) -> int:
        if scope["path"] == SPEECH:
            return settings.limits.max_event_bytes + LARGEST_ENCODED
        return uploads if scope["path"] == UPLOADS else settings.limits.max_event_bytes

    keeper = Authenticator(
        keys,
        rate=settings.http.rate_limit,
        origins=settings.http.cors_origins,
        ingress_port=settings.http.ingress_port or None,
    )
    app = BodyLimitMiddleware(
        app, most=most, seconds=settings.limits.event_timeout, send_timeout=settings.limits.send_timeout
    )
    app = AuthMiddleware(app, keeper, OPEN | page.paths())
    if settings.http.cors_origins:
        app = CORSMiddleware(
            app,
            allow_origins=settings.http.cors_origins,
            allow_methods=("GET", "POST", "DELETE"),
            allow_headers=("*",),  # reflected: OpenAI's client sends a dozen x-stainless-* of its own
            allow_private_network=True,
            expose_headers=EXPOSED,
        )
    return ErrorMiddleware(app, HEADERS)
