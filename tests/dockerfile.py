"""Reads a Dockerfile, and runs its steps in a directory, where no Docker is."""

from __future__ import annotations

import fnmatch
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

STUBS = {
    # The system's own packages are looked for, and not installed.
    "apt-get": """case "$1" in
update) exit 0 ;;
install) shift
    if apt-cache show libc6 > /dev/null 2>&1; then exec REAL install --simulate "$@"; fi ;;
*) echo "apt-get $1 is not known here" >&2; exit 1 ;;
esac""",
    # There is nobody to make and nobody to give a directory to.
    "useradd": 'for word; do :; done; echo "$word" > "$USERS/user"',
    "install": 'for word; do case "$word" in --owner=*) [ "${word#--owner=}" = "$(cat "$USERS/user")" ] ;; '
    '/*) mkdir -p "$word" ;; esac || exit 1; done',
}
"""Commands that change the whole system, and what stands for them."""
OURS = re.compile(r"PIP_|SSL_|HTTPS?_|NO_PROXY|all_proxy", re.I)
"""Variables that say how this machine reaches a package index."""
ROOTED = re.compile(r"(?<![\w.:/$}*])/(?=(?:opt|src|data|run|var)\b)")
"""Where an absolute path of the image begins."""


@dataclass(frozen=True, slots=True)
class Step:
    """An instruction, its lines joined."""

    name: str
    text: str

    @property
    def words(self) -> list[str]:
        """The words of it; of the JSON form its strings."""
        return json.loads(self.text) if self.text.startswith("[") else shlex.split(self.text)


@dataclass(slots=True)
class Stage:
    """What stands from one FROM to the next."""

    name: str
    base: str
    steps: list[Step] = field(default_factory=list)

    def all(self, name: str) -> list[Step]:
        """Return its instructions of a name."""
        return [step for step in self.steps if step.name == name]


def parse(text: str) -> tuple[list[Step], list[Stage]]:
    """Return the instructions before the first FROM, and the stages. Raises ValueError."""
    before: list[Step] = []
    stages: list[Stage] = []
    for line in _joined(text):
        match = re.fullmatch(r"([A-Z]+) (.+)", line)
        if match is None:
            raise ValueError(line)
        step = Step(match[1], match[2])
        if step.name == "FROM":
            base, _, name = step.text.partition(" AS ")
            stages.append(Stage(name, base))
        else:
            (stages[-1].steps if stages else before).append(step)
    return before, stages


def _joined(text: str) -> Iterator[str]:
    whole = ""
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            whole += line.strip().removesuffix("\\").strip() + " "
            if not line.endswith("\\"):
                yield whole.strip()
                whole = ""


def lineage(stages: list[Stage], name: str) -> list[Stage]:
    """Return the stage and those it stands on, the lowest first."""
    by_name = {stage.name: stage for stage in stages}
    found = [by_name[name]]
    while found[0].base in by_name:
        found.insert(0, by_name[found[0].base])
    return found


def context(root: Path, ignore: str, place: Path) -> None:
    """Copy what ``.dockerignore`` lets through; no pattern is known but the kinds that are used here."""
    kept = [line[1:] for line in ignore.split() if line.startswith("!")]
    dropped = [line.removeprefix("**/") for line in ignore.split() if line.startswith("**/")]
    if {line for line in ignore.split() if line[0] != "!" and not line.startswith("**/")} != {"*"}:
        raise ValueError(ignore)

    def left_out(_: str, names: list[str]) -> set[str]:
        return {name for name in names for pattern in dropped if fnmatch.fnmatch(name, pattern)}

    for name in kept:
        target = place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (root / name).is_dir():
            shutil.copytree(root / name, target, ignore=left_out)
        else:
            shutil.copy2(root / name, target)


@dataclass(slots=True)
class Build:
    """An image that is laid out under a directory, every absolute path in it below that."""

    stages: list[Stage]
    context: Path
    place: Path
    log: list[str] = field(default_factory=list)
    """The commands that were run."""

    def root(self, name: str) -> Path:
        """Return the directory that is a stage's ``/``."""
        return self.place / name

    def build(self, name: str) -> dict[str, str]:
        """Run a stage's steps, after those that it needs; return the variables it has at the end.

        Raises subprocess.CalledProcessError where a step fails, OSError where a file is missing.
        """
        variables = {"PATH": os.environ["PATH"], "HOME": os.environ["HOME"]}
        root = self.root(name)
        root.mkdir(parents=True)
        where = root
        for stage in lineage(self.stages, name):
            for step in stage.steps:
                if step.name == "WORKDIR":
                    where = Path(self._rooted(step.text, root))
                    where.mkdir(parents=True, exist_ok=True)
                elif step.name == "COPY":
                    self._copy(step, root, where)
                elif step.name == "ENV":
                    for word in step.words:
                        key, _, value = word.partition("=")
                        value = value.replace("$PATH", variables["PATH"])
                        variables[key] = self._rooted(value, root)
                elif step.name == "RUN":
                    self._run(self._rooted(step.text, root), where, variables)
        return variables

    def _rooted(self, text: str, root: Path) -> str:
        return ROOTED.sub(f"{root}/", text)

    def _copy(self, step: Step, root: Path, where: Path) -> None:
        *sources, target = [word for word in step.words if not word.startswith("--")]
        origin = self.context
        for word in step.words:
            if word.startswith("--from="):
                origin = self.root(word.removeprefix("--from="))
                if not origin.exists():
                    self.build(origin.name)
        placed = Path(self._rooted(target, root)) if target.startswith("/") else where / target
        for source in sources:
            found = origin / source.removeprefix("/")
            into = placed / found.name if len(sources) > 1 or target.endswith("/") else placed
            into.parent.mkdir(parents=True, exist_ok=True)
            if found.is_dir():
                links = os.link if origin != self.context else shutil.copy2
                shutil.copytree(found, into, symlinks=True, dirs_exist_ok=True, copy_function=links)
                if origin != self.context:
                    _move(into / "bin", str(origin), str(root))
            else:
                shutil.copy2(found, into)

    def _run(self, command: str, where: Path, variables: Mapping[str, str]) -> None:
        self.log.append(command)
        stubs = self.place / "stubs"
        stubs.mkdir(exist_ok=True)
        for name, body in STUBS.items():
            body = body.replace("REAL", shutil.which(name) or "false")
            (stubs / name).write_text(f"#!/bin/sh\n{body}\n")
            (stubs / name).chmod(0o755)
        for name in ("python", "python3"):
            if not (stubs / name).exists():
                (stubs / name).write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
                (stubs / name).chmod(0o755)
        ours = {key: value for key, value in os.environ.items() if OURS.match(key)}
        path = f"{stubs}:{variables['PATH']}"
        environment = {**ours, **variables, "PATH": path, "USERS": str(self.place)}
        subprocess.run(
            ["sh", "-euc", command], cwd=where, env=environment, check=True, capture_output=True, text=True
        )


def _move(scripts: Path, old: str, new: str) -> None:
    """Let a copied environment's scripts find its own Python: in an image both stages have the same paths."""
    for script in scripts.iterdir():
        if script.is_file() and not script.is_symlink():
            script.write_bytes(script.read_bytes().replace(old.encode(), new.encode()))
