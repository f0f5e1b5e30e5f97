"""``/health``, ``/ready``, ``/metrics`` and the last requests: for those who run the service."""

from __future__ import annotations

import functools
import platform
import resource
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from prometheus_client.exposition import choose_encoder

from ... import __version__
from ...engines.base import EngineUnavailableError
from ..request_log import LAST
from .auth import WELCOME
from .cache import prompts, tiers
from .context import AppContext, status_of
from .metrics import Metrics

PACKAGES = (
    *("torch", "transformers", "qwen-tts", "hibari-tts", "onnxruntime", "numpy"),
    *("wyoming", "fastapi", "uvicorn", "websockets", "redis"),
)


def routes(context: AppContext) -> APIRouter:
    """Return the routes."""
    router = APIRouter()
    metrics = Metrics(context)
    began = time.monotonic()

    @router.get("/health")
    async def health(http: Request) -> dict[str, Any]:
        """Say that the service is alive, and to those who may come in how it is."""
        if not http.scope["state"].get(WELCOME):
            return {"status": _status(context)}
        catalog = context.voices.catalog
        return {
            "status": _status(context),
            "speaking": context.pool.speaking,
            "version": __version__,
            "versions": versions(),
            "uptime_seconds": round(time.monotonic() - began, 1),
            "default_voice": catalog.default.name,
            "engines": _engines(context),
            "memory_bytes": resident_bytes(),
            "requests": {
                "active": context.requests.active,
                "outcomes": dict(Counter(record.outcome for record in context.requests.last)),
            },
            "connections": context.connections(),
            "caches": await tiers(context),
            "prompts": prompts(context),
        }

    @router.get("/ready")
    async def ready() -> dict[str, str]:
        """Say that there is somebody loaded and warm who speaks, and who; until then the answer is 503."""
        if not context.pool.speaking:
            raise EngineUnavailableError("nobody can speak now")
        return {"status": "ready", "speaking": context.pool.speaking}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus(http: Request) -> Response:
        """Return the numbers, as Prometheus reads them."""
        encode, content_type = choose_encoder(http.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    @router.get("/v1/requests")
    async def last(limit: Annotated[int, Query(ge=0, le=LAST)] = 100) -> dict[str, Any]:
        """List the last requests of all doors, the newest first."""
        records = list(context.requests.last)[::-1][:limit]
        return {"requests": [asdict(record) for record in records]}

    return router


def _status(context: AppContext) -> str:
    """Return ``ok``; ``degraded`` while the first engine does not speak; ``mute`` while none does."""
    pool = context.pool
    if not pool.speaking:
        return "mute"
    return "ok" if pool.speaking == pool.preferred else "degraded"


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions of what the sound and the doors depend on, as far as it is installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _engines(context: AppContext) -> list[Mapping[str, Any]]:
    """Return of each engine, in their order, whether it speaks or why not, and how its models are."""
    found: list[Mapping[str, Any]] = []
    for name, member in context.pool.members.items():
        models: dict[str, Any] = {}
        if name in context.pool:
            engine = member.engine
            models["models"] = status_of(engine)
            models["device_bytes"] = engine.device_bytes()
            if servers := engine.servers():
                models["servers"] = servers
        found.append({**member.status(), **models})
    return found


def resident_bytes() -> int:
    """Return the bytes of memory that this process has (RSS); 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
