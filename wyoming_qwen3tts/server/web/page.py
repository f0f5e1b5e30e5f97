"""The web page at ``/``: static files without external resources, which work under any path prefix."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from functools import cache
from html import escape
from importlib.resources import files

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...voices.design import SAMPLE_TEXTS

INDEX = "index.html"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""Media types by file name extension."""
NOT_MODIFIED = 304
CACHING = "no-cache"
"""Browsers validate every file by its ETag, so that files of two versions are never mixed after an update."""
INGRESS = re.compile(r"(?:/[A-Za-z0-9_.-]+)+/?")
"""A valid path prefix of Home Assistant's ingress."""
MAX_INGRESS_LENGTH = 200
"""Characters; those of Home Assistant have some 60."""
HEAD = "<head>"


def routes() -> APIRouter:
    """Return one route per file, so that no path of a request is used on the file system."""
    router = APIRouter()
    for path, (content, kind) in _files().items():
        router.add_route(path, _route(content, kind), include_in_schema=False)
    return router


def paths() -> frozenset[str]:
    """Return the paths of all files. They contain no secrets, and need no API key."""
    return frozenset(_files())


def with_base(html: str, ingress: str) -> str:
    """Return the page with a ``<base>`` for Home Assistant's ingress, whose URL may lack the final slash.

    ``ingress``: the X-Ingress-Path header; ignored if it is not a plain path.
    """
    if len(ingress) > MAX_INGRESS_LENGTH or not INGRESS.fullmatch(ingress):
        return html
    base = f'<base href="{escape(ingress.rstrip("/"))}/">'
    return html.replace(HEAD, f"{HEAD}\n  {base}", 1)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Return the content and the media type of all files, by path."""
    found = {"/sentences.json": (json.dumps(SAMPLE_TEXTS, ensure_ascii=False).encode(), "application/json")}
    for file in (files(__package__) / "static").iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            found["/" if file.name == INDEX else f"/{file.name}"] = file.read_bytes(), kind
    return found


def _route(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Return a handler that serves a file, or status 304 if the client has it."""

    async def serve(http: Request) -> Response:
        given, headers = content, {"Cache-Control": CACHING}
        if kind == KINDS["html"]:
            given = with_base(content.decode(), http.headers.get("x-ingress-path", "")).encode()
            headers["Vary"] = "X-Ingress-Path"
        headers["ETag"] = tag = f'"{hashlib.sha256(given).hexdigest()[:32]}"'
        known = http.headers.get("if-none-match", "").replace("W/", "")
        if tag in (each.strip() for each in known.split(",")):
            return Response(status_code=NOT_MODIFIED, headers=headers)
        return Response(given, media_type=kind, headers=headers)

    return serve
