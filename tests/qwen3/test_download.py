"""Downloading a checkpoint, from a hub that stands on this machine."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

COMMIT = "0123456789012345678901234567890123456789"
LARGE = "large.bin"
FIND = """
import logging, sys
from pathlib import Path
from wyoming_qwen3tts.engines.base import EngineUnavailableError
from wyoming_qwen3tts.engines.qwen3.download import Source, check, find
from wyoming_qwen3tts.telemetry import configure
configure(debug=False, log_format="text")
try:
    source = Source(sys.argv[1], sys.argv[2] or None, Path(sys.argv[3]))
    found = find(source, on_download=lambda progress: print("downloading", progress.share, progress.total))
    check(found)
    print(found)
except EngineUnavailableError as error:
    print("error:", error)
"""


@dataclass
class Hub:
    """What a hub has, and what it was asked."""

    files: Path
    endpoint: str = ""
    token: str | None = None
    """A token that requests need; without it the server answers that there is no such model."""
    pause: float = 0.0
    """Seconds between the twentieths of the large file."""
    drops: int = 0
    """Answers with the large file that it breaks off half way."""
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)
    """Method, path, range."""


class Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        hub = self.hub
        hub.asked.append((self.command, self.path, self.headers["Range"]))
        if hub.token is not None and self.headers["Authorization"] != f"Bearer {hub.token}":
            self.reply(401, b"", {"X-Error-Code": "RepoNotFound"})
        elif self.path.startswith("/api/models/Qwen/Tiny/revision/"):
            revision = self.path.rsplit("/", 1)[1].partition("?")[0]
            if revision not in {"main", "v1", COMMIT}:
                self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
                return
            files = [
                {
                    "rfilename": str(path.relative_to(hub.files)),
                    "size": path.stat().st_size,
                    "blobId": hashlib.sha256(path.read_bytes()).hexdigest(),
                }
                for path in hub.files.rglob("*")
                if path.is_file()
            ]
            listed = {"id": "Qwen/Tiny", "sha": COMMIT, "siblings": files}
            self.reply(200, json.dumps(listed).encode(), {"Content-Type": "application/json"})
        elif self.path.startswith("/Qwen/Tiny/resolve/"):
            self.file(hub.files / self.path.split("/", 5)[5], body=body)
        else:
            self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})

    def file(self, path: Path, *, body: bool) -> None:
        data = path.read_bytes()
        tag = hashlib.sha256(data).hexdigest()
        start = int((self.headers["Range"] or "bytes=0-").removeprefix("bytes=").split("-")[0])
        headers = {"ETag": f'"{tag}"', "X-Repo-Commit": COMMIT, "Accept-Ranges": "bytes"}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        drop = body and path.name == LARGE and self.hub.drops > 0
        rest = data[start:]
        headers["Content-Length"] = str(len(rest))
        self.send_response(206 if start else 200)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if drop:
            self.hub.drops -= 1
            self.wfile.write(rest[: len(rest) // 2])
            self.close_connection = True
        elif body and path.name == LARGE and self.hub.pause:
            for start in range(0, len(rest), len(rest) // 20):
                time.sleep(self.hub.pause)
                self.wfile.write(rest[start : start + len(rest) // 20])
        elif body:
            self.wfile.write(rest)

    def reply(self, status: int, content: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)


@pytest.fixture
def hub(tiny: Path) -> Iterator[Hub]:
    standing = Hub(tiny)
    handler = type("TheHandler", (Handler,), {"hub": standing})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    standing.endpoint = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield standing
    server.shutdown()
    server.server_close()
    thread.join()


def find(hub: Hub, home: Path, model: str = "Qwen/Tiny", revision: str = "", **variables: str) -> str:
    """Find a model in a process of its own; return what it prints."""
    done = start(hub, home, subprocess.PIPE, model, revision, **variables)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def start(
    hub: Hub, home: Path, log: int, model: str = "Qwen/Tiny", revision: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    """Find a model in a process of its own, as the hub's client reads its variables once.

    ``log``: where its standard error goes.
    """
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "0",
        "HF_HUB_DISABLE_XET": "1",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_IMPLICIT_TOKEN": "0",
        **variables,
    }
    command = [sys.executable, "-c", FIND, model, revision, str(home / "models")]
    return subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, stderr=log, text=True, timeout=120, check=False
    )


def test_a_model_comes_from_the_mirror_into_the_directory_asked_for(hub: Hub, tmp_path: Path) -> None:
    found = find(hub, tmp_path)
    assert found == str(tmp_path / "models" / "models--Qwen--Tiny" / "snapshots" / COMMIT)
    asked = len(hub.asked)
    assert find(hub, tmp_path, revision=COMMIT, HF_HUB_OFFLINE="1") == found
    assert len(hub.asked) == asked  # nothing comes twice


def test_a_download_that_breaks_off_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    # The client keeps whole blocks of 10 MB.
    hub.files = Path(shutil.copytree(hub.files, tmp_path / "files"))
    (hub.files / LARGE).write_bytes(os.urandom(1 << 20) * 44)
    hub.drops = 2
    assert find(hub, tmp_path).endswith(COMMIT)
    assert hub.drops == 0
    spans = [span for method, path, span in hub.asked if method == "GET" and path.endswith(LARGE)]
    assert spans == [None, f"bytes={20 << 20}-", f"bytes={30 << 20}-"]


@pytest.fixture
def slow(hub: Hub, tmp_path: Path) -> Hub:
    """A hub that takes some seconds to send the large file."""
    hub.files = Path(shutil.copytree(hub.files, tmp_path / "files"))
    # The client writes blocks of 10 MB.
    (hub.files / LARGE).write_bytes(os.urandom(1 << 20) * 100)
    hub.pause = 0.3
    return hub


def test_a_long_download_logs_its_progress(slow: Hub, tmp_path: Path) -> None:
    done = start(slow, tmp_path, subprocess.PIPE)
    assert done.stdout.strip().endswith(COMMIT), done.stderr
    assert re.match(r"downloading 0\.0 1\d{8}\n", done.stdout), (
        "called once, with a hundred megabytes to come"
    )
    lines = re.findall(r"INFO qwen3: downloading model=Qwen/Tiny percent=(\d+) left=\d+s$", done.stderr, re.M)
    shown = [int(percent) for percent in lines]
    assert 1 <= len(shown) <= 10
    assert shown == sorted(set(shown))
    assert "\r" not in done.stderr


def test_a_long_download_is_a_bar_on_a_terminal(slow: Hub, tmp_path: Path) -> None:
    main, other = os.openpty()
    done = start(slow, tmp_path, other)
    os.close(other)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert done.stdout.strip().endswith(COMMIT), shown
    assert re.search(r"\rqwen3: downloading model=Qwen/Tiny \[#+-+\] +\d+ %, ", shown)
    assert shown.endswith("\r\033[K")
    assert "percent=" not in shown


def test_a_revision_can_be_pinned(hub: Hub, tmp_path: Path) -> None:
    assert find(hub, tmp_path, revision="v1").endswith(COMMIT)
    assert find(hub, tmp_path, revision="v9") == "error: Qwen/Tiny has no revision 'v9'"


def test_a_token_is_sent(hub: Hub, tmp_path: Path) -> None:
    hub.token = "secret"
    assert find(hub, tmp_path) == "error: the hub has no model 'Qwen/Tiny' that HF_TOKEN may see"
    assert find(hub, tmp_path, HF_TOKEN="secret").endswith(COMMIT)


def test_a_model_that_the_hub_does_not_have(hub: Hub, tmp_path: Path) -> None:
    assert (
        find(hub, tmp_path, "Qwen/Other") == "error: the hub has no model 'Qwen/Other' that HF_TOKEN may see"
    )


def test_a_hub_that_cannot_be_reached(hub: Hub, tmp_path: Path) -> None:
    said = find(hub, tmp_path, HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith("error: Qwen/Tiny has not been downloaded in ")
    assert said.endswith("and the hub cannot be reached")
