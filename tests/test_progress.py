"""Progress: a bar on a terminal, plain lines through a pipe."""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.house import HANG

TASK = """
import logging, time
from wyoming_qwen3tts import progress, telemetry
progress.SHORTEST_INTERVAL = 0.05
telemetry.configure(debug=False, log_format="text")
with progress.Progress("task:", 50) as task:
    for done in range(51):
        task.update(done)
        time.sleep(0.02)
        if done == 25:
            logging.info("half")
"""


def run(log: int) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "60"}
    return subprocess.run(
        [sys.executable, "-c", TASK], stderr=log, env=environment, text=True, timeout=HANG, check=True
    )


def test_progress_is_a_bar_on_a_terminal_and_erased_for_log_lines_and_at_the_end() -> None:
    main, other = os.openpty()
    run(other)
    os.close(other)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert "\rtask: [###############---------------]  50 %, " in shown
    assert re.search(r"\r\033\[K[^\r]* INFO half\r\n\rtask: \[", shown)
    assert shown.endswith("100 %, 0 s left\033[K\r\033[K")
    assert all(len(line) <= 60 for line in re.split(r"\r|\n", shown.replace("\033[K", "")))


def test_progress_is_plain_lines_through_a_pipe() -> None:
    errors = run(subprocess.PIPE).stderr
    assert "\r" not in errors
    assert "\033" not in errors
    percent = [int(shown) for shown in re.findall(r"^task: percent=(\d+) left=\d+s$", errors, re.M)]
    assert percent == sorted(set(percent))
    assert 5 <= len(percent) <= 10
