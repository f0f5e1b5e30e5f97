"""The page at ``/``: a few fixed files, none of them from anywhere else, at home under any prefix."""

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

from ...voices.design import TEXTS

INDEX = "index.html"
KINDS = {"html": "text/html", "css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""What the page's files are, by the ends of their names."""
NOT_MODIFIED = 304
CACHING = "no-cache"
"""Ask every time whether there is a newer one: after an update nobody runs half an old page."""
INGRESS = re.compile(r"(?:/[A-Za-z0-9_.-]+)+/?")
"""A path that Home Assistant's ingress may have put the page under."""
LONGEST_INGRESS = 200
"""Characters; those of Home Assistant have some 60."""
HEAD = "<head>"


def routes() -> APIRouter:
    """Return the routes, one for each file: no path of a client gets to the file system."""
    router = APIRouter()
    for path, (content, kind) in _files().items():
        router.add_route(path, _route(content, kind), include_in_schema=False)
    return router


def paths() -> frozenset[str]:
    """Return the paths of all of it: there are no secrets in it, so that anybody may have it."""
    return frozenset(_files())


def with_base(html: str, ingress: str) -> str:
    """Return the page for whoever came through Home Assistant, whose URL may have no slash at its end.

    ``ingress``: the header as it came; what is no plain path is as good as none.
    """
    if len(ingress) > LONGEST_INGRESS or not INGRESS.fullmatch(ingress):
        return html
    base = f'<base href="{escape(ingress.rstrip("/"))}/">'
    return html.replace(HEAD, f"{HEAD}\n  {base}", 1)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Return content and media type of all that there is, by path."""
    found = {"/sentences.json": (json.dumps(TEXTS, ensure_ascii=False).encode(), "application/json")}
    for file in (files(__package__) / "static").iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            found["/" if file.name == INDEX else f"/{file.name}"] = file.read_bytes(), kind
    return found


def _route(content: bytes, kind: str) -> Callable[[Request], Awaitable[Response]]:
    """Return what serves a file, or says that the client has it."""

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
