"""``/health``, ``/ready``, ``/metrics`` and ``/v1/requests``, for monitoring."""

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
from ..request_log import HISTORY_SIZE
from .auth import AUTHENTICATED
from .cache import prompt_statistics, tier_statistics
from .context import AppContext
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
        """Return the state of the service; only its status to clients that are not authenticated."""
        if not http.scope["state"].get(AUTHENTICATED):
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
                "active": context.admission.active,
                "outcomes": dict(Counter(record.outcome for record in context.history.records)),
            },
            "connections": context.connections(),
            "caches": await tier_statistics(context),
            "prompts": prompt_statistics(context),
        }

    @router.get("/ready")
    async def ready() -> dict[str, str]:
        """Return the engine in use; status 503 while none is loaded and warmed up."""
        if not context.pool.speaking:
            raise EngineUnavailableError("no engine is ready")
        return {"status": "ready", "speaking": context.pool.speaking}

    @router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
    async def prometheus(http: Request) -> Response:
        """Return the metrics in a Prometheus text format."""
        encode, content_type = choose_encoder(http.headers.get("accept", ""))
        return Response(encode(metrics.registry), headers={"Content-Type": content_type})

    @router.get("/v1/requests")
    async def requests(limit: Annotated[int, Query(ge=0, le=HISTORY_SIZE)] = 100) -> dict[str, Any]:
        """List the last requests of all interfaces, the newest first."""
        records = list(context.history.records)[::-1][:limit]
        return {"requests": [asdict(record) for record in records]}

    return router


def _status(context: AppContext) -> str:
    """Return ``ok``; ``degraded`` while the preferred engine is not ready; ``mute`` while none is."""
    pool = context.pool
    if not pool.speaking:
        return "mute"
    return "ok" if pool.speaking == pool.preferred else "degraded"


@functools.cache
def versions() -> Mapping[str, str]:
    """Return the versions of Python and of the installed PACKAGES."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _engines(context: AppContext) -> list[Mapping[str, Any]]:
    """Return the state of each engine and of its models, in order of preference."""
    found: list[Mapping[str, Any]] = []
    for name, member in context.pool.members.items():
        models: dict[str, Any] = {}
        if name in context.pool:
            engine = member.engine
            models["models"] = engine.status()
            models["device_bytes"] = engine.device_bytes()
            if (step := engine.load_step()) is not None:
                models["loading"] = asdict(step)
            if servers := engine.servers():
                models["servers"] = servers
        found.append({**member.status(), **models})
    return found


def resident_bytes() -> int:
    """Return the resident set size of this process in bytes; 0 if the system does not report it."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize()
