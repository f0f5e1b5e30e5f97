"""Entry point of the image: applies settings of the container, drops root, and executes the service.

Variables of its own, beside those of the service:

- ``SPEECH_GPU_PERSISTENCE=1`` keeps the NVIDIA driver loaded while it is not in use.
- ``SPEECH_GPU_CLOCKS=1200,1800`` holds the GPU's clocks (MHz, lowest and highest). Both need root
  (``user: root``); a refusal is a line in the log.
- ``SPEECH_USER`` is the user of the service where the container is started as root; ``speech`` by default.

A failure here is logged and does not keep the service from starting. Needs only the standard library.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

SERVICE = "wyoming-qwen3tts"
DATA = "WYOMING_QWEN3TTS_DATA_DIR"
USER = "speech"
CGROUP = Path("/sys/fs/cgroup")
NVIDIA_SMI_TIMEOUT = 20.0
"""Timeout of nvidia-smi, in seconds."""


def main(arguments: list[str]) -> NoReturn:
    """Execute the service, or one of its commands, in place of this process."""
    settle_gpu(os.environ)
    if not os.environ.get("OMP_NUM_THREADS") and (threads := allowed_threads(CGROUP)) is not None:
        os.environ["OMP_NUM_THREADS"] = str(threads)
    if os.geteuid() == 0:
        give_up_root(os.environ.get("SPEECH_USER") or USER, os.environ.get(DATA))
    os.execvp(SERVICE, [SERVICE, *arguments])  # noqa: S606 - there is no shell on purpose


def settle_gpu(variables: Mapping[str, str]) -> None:
    """Apply the GPU settings that are set, where the driver allows it."""
    if variables.get("SPEECH_GPU_PERSISTENCE", "0") not in {"", "0"}:
        _nvidia_smi("--persistence-mode=1")
    if clocks := variables.get("SPEECH_GPU_CLOCKS"):
        _nvidia_smi(f"--lock-gpu-clocks={clocks}")


def _nvidia_smi(argument: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603 - no shell
            ["nvidia-smi", argument],  # noqa: S607 - the driver's, wherever it is mounted
            capture_output=True,
            text=True,
            timeout=NVIDIA_SMI_TIMEOUT,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        say(f"nvidia-smi {argument}: {error}")
        return
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        say(f"nvidia-smi {argument}: status {done.returncode}: {said}")


def allowed_threads(cgroup: Path) -> int | None:
    """Return how many whole CPUs the container may use, at least 1; None without a limit.

    Libraries count the machine's CPUs instead, and start more threads than may run.
    """
    try:
        quota, period = (cgroup / "cpu.max").read_text().split()
    except (OSError, ValueError):
        try:
            quota = (cgroup / "cpu" / "cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu" / "cpu.cfs_period_us").read_text().strip()
        except OSError:
            return None
    try:
        microseconds, of = int(quota), int(period)  # "max" is no number, and -1 is no limit
    except ValueError:
        return None
    return max(1, microseconds // of) if microseconds > 0 < of else None


def give_up_root(name: str, data: str | None) -> None:
    """Give the data directory to a user and switch to that user; log it and stay root where that fails."""
    try:
        user = pwd.getpwnam(name)
    except KeyError:
        return say(f"there is no user {name!r}, so this runs as root")
    try:
        for path in _below(data) if data else ():
            if path.lstat().st_uid != user.pw_uid:
                os.lchown(path, user.pw_uid, user.pw_gid)
    except OSError as error:
        return say(f"the data cannot be handed to {name!r} ({error}), so this runs as root")
    try:
        os.initgroups(name, user.pw_gid)
        os.setgid(user.pw_gid)
        os.setuid(user.pw_uid)
    except OSError as error:
        return say(f"root cannot be given up ({error})")
    return None


def _below(directory: str) -> Iterator[Path]:
    """Yield the directory and all in it; symbolic links are not followed."""
    yield Path(directory)
    for place, directories, files in os.walk(directory):
        for name in (*directories, *files):
            yield Path(place, name)


def say(message: str) -> None:
    """Write a line to the container's log."""
    print(f"entrypoint: {message}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
