"""The manual: its commands run, it builds without a warning, and what it names exists.

The fence of a code block says what is done with it:

- ``sh``: run, in order, in a directory of the page's own; it must succeed.
- ``sh server``: run until the end of the page or the next server, and waited for.
- ``text`` after one of these: its output, in this order; ``…`` stands for anything.
- ``sh no-run``: needs a GPU, a model, Docker, root or another machine. ``yaml``, ``toml`` … are not run either.

A page's ports are replaced by free ones.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.house import HANG
from tests.web import free_port
from wyoming_qwen3tts.config.describe import OPTIONS_FILE
from wyoming_qwen3tts.config.settings import OPTIONS

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted((ROOT / "docs").glob("*.md"))
LINKING = [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
"""Pages outside the manual, whose links Sphinx does not check."""
PORTS = ("10200", "10201", "8080", "8081", "6379")
INFOS = {"sh", "sh server", "sh no-run", "text", "yaml", "toml", "json", "ini", "", "{toctree}"}
SHOWN = ("examples", "benchmarks", "tests", ".venv")
"""Parts of the checkout that a page's directory contains."""

FOREIGN = {
    *("--from", "--spec", "--fail", "--no-deps", "--target", "--network", "--restart", "--gpus", "--profile"),
    *("--save", "--maxmemory", "--maxmemory-policy", "--port"),
    *("--version", "--help", "--help-all"),
}
"""Options of other programs (curl, pip, docker, redis-server), and argparse's own."""


@dataclass(frozen=True)
class Block:
    info: str
    content: str
    line: int


def blocks(page: Path) -> list[Block]:
    """Return the fenced blocks of a page."""
    found: list[Block] = []
    inside: list[str] | None = None
    info, began = "", 0
    for number, line in enumerate(page.read_text().splitlines(), 1):
        if not line.startswith("```"):
            if inside is not None:
                inside.append(line)
        elif inside is None:
            info, began, inside = line[3:].strip(), number, []
        else:
            found.append(Block(info, "\n".join(inside), began))
            inside = None
    assert inside is None, f"{page.name}: a block has no end"
    return found


def unfenced(page: Path) -> str:
    """Return a page without its blocks."""
    return re.sub(r"^```.*?^```", "", page.read_text(), flags=re.M | re.S)


class Shell:
    """A directory, free ports, and a server in the background."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.ports = {port: str(free_port()) for port in PORTS}
        self._running: list[subprocess.Popen[bytes]] = []
        for name in SHOWN:
            (place / name).symlink_to(ROOT / name)
        self._variables = {
            **{name: value for name, value in os.environ.items() if not name.startswith("WYOMING_")},
            "HOME": str(place),
            "XDG_DATA_HOME": str(place / ".local/share"),
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
            "WYOMING_QWEN3TTS_URI": f"tcp://127.0.0.1:{self.ports['10200']}",
            "SPEECH_URL": f"http://localhost:{self.ports['8080']}",
        }

    def replaced(self, text: str) -> str:
        """Return a text with the ports of this page."""
        return re.sub(r"\b(\d{4,5})\b", lambda found: self.ports.get(found[1], found[1]), text)

    def _start(self, command: str, output: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", self.replaced(command)],
            cwd=self.place,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def run(self, block: Block, where: str) -> str:
        """Run a block; return what it printed."""
        process = self._start(block.content, subprocess.PIPE)
        self._running.append(process)
        output = process.communicate(timeout=HANG)[0].decode()
        self._running.remove(process)
        assert process.returncode == 0, f"{where}: status {process.returncode}: {output}"
        return output

    def serve(self, block: Block, where: str) -> str:
        """Start the servers of a block, in the place of others; return what they print until they speak."""
        self.end()
        log = self.place / "server.log"
        with log.open("wb") as file:
            process = self._start(block.content, file.fileno())
        self._running.append(process)
        wanted = max(1, len(re.findall(r"^wyoming-qwen3tts", block.content, re.M)))
        until = time.monotonic() + HANG
        while (said := log.read_text()).count("service: ready") < wanted:
            assert process.poll() is None, f"{where}: it ended: {said}"
            assert time.monotonic() < until, f"{where}: it is not ready: {said}"
            time.sleep(0.02)
        return said

    def end(self) -> None:
        """End what runs."""
        for process in self._running:
            try:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait(HANG)
            except ProcessLookupError:
                pass
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()
        self._running.clear()


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[Shell]:
    found = Shell(tmp_path)
    try:
        yield found
    finally:
        found.end()


@pytest.mark.parametrize(
    "page", [page for page in PAGES if any(b.info == "sh" for b in blocks(page))], ids=lambda page: page.stem
)
def test_commands_of_a_page_do_what_it_says(page: Path, shell: Shell) -> None:
    said: str | None = None
    for block in blocks(page):
        where = f"{page.name}:{block.line}"
        assert block.info in INFOS, f"{where}: {block.info!r} is no kind of block"
        if block.info == "sh":
            said = shell.run(block, where)
        elif block.info == "sh server":
            said = shell.serve(block, where)
        elif block.info == "text" and said is not None:
            parts = re.split(r"\s*…\s*|\n", shell.replaced(block.content).strip())
            assert re.search(".*".join(map(re.escape, parts)), said, re.S), f"{where}: {said}"
            said = None
        else:
            said = None


def test_a_page_with_a_wrong_output_fails(tmp_path: Path, shell: Shell) -> None:
    page = tmp_path / "page.md"
    page.write_text("```sh\necho one 8080\n```\n```text\none two … 8080\n```\n")
    with pytest.raises(AssertionError, match=r"page\.md:4: one"):
        test_commands_of_a_page_do_what_it_says(page, shell)
    page.write_text("```sh\necho one; false\n```\n")
    with pytest.raises(AssertionError, match="status 1: one"):
        test_commands_of_a_page_do_what_it_says(page, shell)
    page.write_text("```sh no-run\nfalse\n```\n```sh\necho one two 8080\n```\n```text\none … 8080\n```\n")
    test_commands_of_a_page_do_what_it_says(page, shell)


# -- links and names -----------------------------------------------------------------------------------------


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    found: set[str] = set()
    for heading in re.findall(r"^#+ (.+)$", unfenced(page), re.M):
        plain = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
        found.add(re.sub(r"[^\w\- ]", "", plain.lower()).strip().replace(" ", "-"))
    return found


def test_the_manual_builds_without_a_warning(tmp_path: Path) -> None:
    site = tmp_path / "site"
    assert build(ROOT / "docs", site) == ""
    for page in PAGES:
        assert (site / f"{page.stem}.html").exists(), page.stem


def test_a_dead_link_fails_the_build(tmp_path: Path) -> None:
    source = tmp_path / "docs"
    shutil.copytree(ROOT / "docs", source)
    with (source / "index.md").open("a") as index:
        index.write("\n[nowhere](nowhere.md) [no heading](text.md#no-heading)\n")
    output = build(source, tmp_path / "site")
    assert "nowhere.md" in output
    assert "no-heading" in output


def build(source: Path, site: Path) -> str:
    """Build the manual as ``script/docs`` does; return its warnings."""
    strict = re.search(r"strict = \[(.*)\]", (ROOT / "script/docs").read_text())
    assert strict is not None
    options = re.findall(r'"(--[\w-]+)"', strict[1])
    command = [sys.executable, "-m", "sphinx", *options, str(source), str(site)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=HANG, check=False)
    assert (done.returncode == 0) == (done.stderr == ""), done.stderr
    return done.stderr


@pytest.mark.parametrize("page", LINKING, ids=lambda page: page.name)
def test_links_outside_the_manual_lead_to_existing_files(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", unfenced(page))
    for link in links:
        if "://" in link or link.startswith("mailto:"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), f"{page.name}: {link}"
        assert ROOT in target.parents or target == ROOT, f"{page.name}: {link} leaves the repository"
        if anchor:
            assert anchor in anchors(target), f"{page.name}: {link}, but {sorted(anchors(target))}"


def test_the_index_links_to_every_page_and_the_readme_to_the_index() -> None:
    index = (ROOT / "docs/index.md").read_text()
    for page in PAGES:
        assert page.name == "index.md" or f"]({page.name})" in index, page.name
    assert "](docs/index.md)" in (ROOT / "README.md").read_text()


def test_the_readme_is_short() -> None:
    readme = (ROOT / "README.md").read_bytes()
    assert readme.count(b"\n") <= 200
    assert len(readme) <= 12_000


def test_pictures_are_used_and_small() -> None:
    pictures = [path for path in (ROOT / "docs/pictures").iterdir() if path.is_file()]
    text = "".join(page.read_text() for page in [*PAGES, ROOT / "README.md"])
    for picture in pictures:
        assert f"pictures/{picture.name}" in text, f"{picture.name} is on no page"
    assert sum(picture.stat().st_size for picture in pictures) <= 1_500_000


def known_options() -> set[str]:
    """Return the options of the server, its commands, benchmarks, examples and scripts."""
    flags = {f"--{key.replace('_', '-')}" for key in (*OPTIONS, OPTIONS_FILE)}
    flags |= {f"--no-{key.replace('_', '-')}" for key, each in OPTIONS.items() if each.default is True}
    for folder in ("wyoming_qwen3tts/cli", "benchmarks", "examples", "script"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                flags |= set(re.findall(r"\"(--[a-z][a-z-]+)\"", path.read_text()))
    return flags


@pytest.mark.parametrize("page", [*PAGES, ROOT / "README.md"], ids=lambda page: page.name)
def test_options_that_are_mentioned_exist(page: Path) -> None:
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*[a-z]", page.read_text()))
    assert not mentioned - known_options() - FOREIGN, page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    text = page.read_text()
    for name in re.findall(
        r"\b(?:wyoming_qwen3tts|tests|benchmarks|examples|script|docs)/[\w./-]*[\w/]", text
    ):
        assert (ROOT / name).exists(), f"{page.name}: {name}"
    for name in re.findall(r"-m (benchmarks\.\w+)", text):
        assert (ROOT / f"{name.replace('.', '/')}.py").exists(), f"{page.name}: {name}"


def test_metrics_that_are_named_exist(shell: Shell) -> None:
    named = {name for page in PAGES for name in re.findall(r"\bwyoming_tts_\w+", page.read_text())}
    assert named
    # A remote server that does not answer has metrics, too.
    server = "wyoming-qwen3tts --http-port 8080 --engine builtin,remote --remote-uri tcp://127.0.0.1:10201"
    shell.serve(Block("sh server", server, 0), "here")
    with urllib.request.urlopen(f"{shell.replaced('http://localhost:8080')}/metrics", timeout=HANG) as answer:
        there = set(re.findall(r"^# HELP (\w+)", answer.read().decode(), re.M))
    assert not {re.sub("_bucket$", "", name) for name in named} - there
