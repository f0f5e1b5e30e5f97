"""The page at ``/``: a few fixed files, none of them from anywhere else, at home under any prefix."""

from __future__ import annotations

import hashlib
import json
import re
from html import escape
from importlib.resources import files

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from ...voices.design import TEXTS

KINDS = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
"""What the page's files are, by the ends of their names."""
NOT_MODIFIED = 304
CACHING = "no-cache"
"""Ask every time whether there is a newer one: after an update nobody runs half an old page."""
INGRESS = re.compile(r"(?:/[A-Za-z0-9_.-]+)+/?")
"""A path that Home Assistant's ingress may have put the page under."""
LONGEST_INGRESS = 200
"""Characters; the ones of Home Assistant have some 60."""
HEAD = "<head>"


def routes() -> APIRouter:
    """Return the routes. All files are read now: no path of a client gets to the file system."""
    router = APIRouter()
    stored = files(__package__) / "page"
    home = (stored / "index.html").read_text("utf-8")

    async def index(http: Request) -> Response:
        content = with_base(home, http.headers.get("x-ingress-path", ""))
        return _answer(http, content.encode(), "text/html", {"Vary": "X-Ingress-Path"})

    router.add_route("/", index, include_in_schema=False)
    sentences = json.dumps(TEXTS, ensure_ascii=False).encode()
    _serve(router, "sentences.json", sentences, "application/json")
    for file in stored.iterdir():
        kind = KINDS.get(file.name.rpartition(".")[2])
        if kind is not None:
            _serve(router, file.name, file.read_bytes(), kind)
    return router


def with_base(html: str, ingress: str) -> str:
    """Return the page for whoever came through Home Assistant, whose URL may have no slash at its end.

    ``ingress``: the header as it came; what is no plain path is as good as none.
    """
    if len(ingress) > LONGEST_INGRESS or not INGRESS.fullmatch(ingress):
        return html
    base = f'<base href="{escape(ingress.rstrip("/"))}/">'
    return html.replace(HEAD, f"{HEAD}\n  {base}", 1)


def _serve(router: APIRouter, name: str, content: bytes, kind: str) -> None:
    async def serve(http: Request) -> Response:
        return _answer(http, content, kind, {})

    router.add_route(f"/{name}", serve, include_in_schema=False)


def _answer(http: Request, content: bytes, kind: str, headers: dict[str, str]) -> Response:
    """Return ``content``, or that the client has it."""
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    headers |= {"ETag": tag, "Cache-Control": CACHING}
    known = http.headers.get("if-none-match", "").replace("W/", "")
    if tag in (other.strip() for other in known.split(",")):
        return Response(status_code=NOT_MODIFIED, headers=headers)
    return Response(
        content, media_type=f"{kind}; charset=utf-8" if "json" not in kind else kind, headers=headers
    )
