"""The units for systemd, and the script that installs them, in a checkout made for the test."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wyoming_qwen3tts.cli.serve import RESTART
from wyoming_qwen3tts.config.settings import OPTIONS, Settings

ROOT = Path(__file__).resolve().parent.parent
UNIT = "wyoming-qwen3tts.service"
UNITS = {"system": ROOT / "systemd" / UNIT, "user": ROOT / "systemd" / "user" / UNIT}


@pytest.fixture(params=["checkout", "a house of 100% speech"])
def checkout(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A checkout that other users may look into, where the test's own directory is for its owner alone."""
    with tempfile.TemporaryDirectory() as place:
        Path(place).chmod(0o755)
        made = Path(place, request.param)
        (made / "script").mkdir(parents=True)
        shutil.copy2(ROOT / "script" / "install-service", made / "script")
        shutil.copytree(ROOT / "systemd", made / "systemd")
        programs = made / ".venv" / "bin"
        programs.mkdir(parents=True)
        (programs / "wyoming-qwen3tts").write_text("#!/bin/sh\n")
        (programs / "wyoming-qwen3tts").chmod(0o755)
        (programs / "python").symlink_to("/bin/sh")
        yield made


def install(checkout: Path, *arguments: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, checkout / "script" / "install-service", *arguments]
    return subprocess.run(command, env={**os.environ, **variables}, capture_output=True, text=True)


def parsed(path: Path) -> configparser.RawConfigParser:
    """Read a unit whose keys each stand once, save for Environment."""
    found = configparser.RawConfigParser(delimiters=("=",), comment_prefixes=("#",), strict=True)
    found.optionxform = str  # type: ignore[assignment,method-assign]
    text = path.read_text()
    found.read_string(re.sub(r"(?<=\nEnvironment=)(.+)\nEnvironment=", r"\1 ", text))
    return found


@pytest.mark.parametrize("kind", UNITS)
def test_a_service_that_ends_with_75_is_started_again_and_one_with_a_wrong_option_is_not(kind: str) -> None:
    service = parsed(UNITS[kind])["Service"]
    assert service["Restart"] == "on-failure"
    assert float(service["RestartSec"]) > 0
    assert RESTART == 75
    assert service["RestartPreventExitStatus"] == "2"  # what the program returns for a wrong option
    assert parsed(UNITS[kind])["Unit"]["StartLimitIntervalSec"] == "0"
    assert "WatchdogSec" not in service  # nobody would feed it


@pytest.mark.parametrize("kind", UNITS)
def test_running_requests_may_be_spoken_to_their_end_at_stop(kind: str) -> None:
    service = parsed(UNITS[kind])["Service"]
    assert float(service["TimeoutStopSec"]) > Settings().limits.stop_timeout
    assert service["KillMode"] == "mixed"


def test_the_system_s_service_is_nobody_and_writes_to_its_own_directories() -> None:
    service = parsed(UNITS["system"])["Service"]
    assert service["DynamicUser"] == "yes"
    assert {service[f"{each}Directory"] for each in ("State", "Cache", "Runtime")} == {"wyoming-qwen3tts"}
    given = dict(word.split("=", 1) for word in service["Environment"].split())
    assert set(given) == {"HOME", "XDG_CACHE_HOME", "HF_HOME", "WYOMING_QWEN3TTS_DATA_DIR"}
    assert all(value.startswith(("%S/wyoming-qwen3tts", "%C/wyoming-qwen3tts")) for value in given.values())
    assert "data_dir" in OPTIONS
    assert service["CapabilityBoundingSet"] == ""
    assert service["DeviceAllow"] == "char-nvidia* rw"
    assert "MemoryDenyWriteExecute" not in service  # torch and numba compile


@pytest.mark.parametrize("kind", UNITS)
def test_systemd_understands_what_is_installed(kind: str, checkout: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.fail("systemd-analyze is missing; install it: apt-get install systemd", pytrace=False)
    given = ["--user"] if kind == "user" else []
    assert install(checkout, *given, "--root", tmp_path).returncode == 0
    (unit,) = tmp_path.rglob(UNIT)
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("Restart=", "Restrat="))
    done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True)
    assert "Restrat" in done.stderr


@pytest.mark.parametrize("user", [False, True])
def test_a_dry_run_shows_everything_and_does_nothing(checkout: Path, tmp_path: Path, user: bool) -> None:
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": ""}
    before = sorted(checkout.rglob("*"))
    done = install(checkout, "--dry-run", *["--user"] * user, **home)
    assert done.returncode == 0, done.stderr
    place = f"{tmp_path}/.config/systemd/user" if user else "/etc/systemd/system"
    options = f"{tmp_path}/.config/wyoming-qwen3tts.env" if user else "/etc/wyoming-qwen3tts.env"
    assert done.stdout.startswith(f"# {place}/{UNIT}\n")
    assert f"# {options}, unless it is there" in done.stdout
    systemctl = "systemctl --user" if user else "systemctl"
    for command in ("daemon-reload", f"enable --quiet {UNIT}", f"restart {UNIT}"):
        assert f"\n{systemctl} {command}\n" in done.stdout
    assert list(tmp_path.iterdir()) == []
    assert sorted(checkout.rglob("*")) == before


def test_it_can_be_installed_again_and_leaves_what_somebody_wrote(checkout: Path, tmp_path: Path) -> None:
    first = install(checkout, "--root", tmp_path)
    assert "written" in first.stdout
    unit, options = tmp_path / "etc" / "systemd" / "system" / UNIT, tmp_path / "etc" / "wyoming-qwen3tts.env"
    program = str(checkout / ".venv" / "bin" / "wyoming-qwen3tts")
    quoted = f'"{program.replace("%", "%%")}"' if " " in program else program
    assert f"ExecStart={quoted}\n" in unit.read_text()
    assert "/opt/" not in unit.read_text()
    assert options.stat().st_mode & 0o777 == 0o600  # a key may be in it
    for line in options.read_text().splitlines():
        if line.startswith("#WYOMING_QWEN3TTS_"):
            assert line.split("=")[0].removeprefix("#WYOMING_QWEN3TTS_").lower() in OPTIONS
    options.write_text("WYOMING_QWEN3TTS_VOICE=heart\n")
    second = install(checkout, "--root", tmp_path)
    assert "as it should be" in second.stdout
    assert options.read_text() == "WYOMING_QWEN3TTS_VOICE=heart\n"
    unit.write_text("of an older version")
    assert "written" in install(checkout, "--root", tmp_path).stdout
    assert sorted(path.name for path in unit.parent.iterdir()) == [UNIT]


def systemctl_that_tells(place: Path, status: int = 0) -> Path:
    """Make a systemctl that writes down what it is asked for."""
    program = place / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$@" >> "{place}/asked"\nexit {status}\n')
    program.chmod(0o755)
    return place / "asked"


@pytest.mark.parametrize("checkout", ["checkout"], indirect=True)
@pytest.mark.skipif(Path("/run/systemd/system").exists(), reason="systemd runs this machine")
def test_where_no_systemd_runs_it_says_so_and_writes_nothing(checkout: Path, tmp_path: Path) -> None:
    asked = systemctl_that_tells(tmp_path)
    path = f"{tmp_path / 'bin'}:{os.environ['PATH']}"
    done = install(checkout, "--user", HOME=str(tmp_path / "home"), XDG_CONFIG_HOME="", PATH=path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: systemd does not run this machine; script/run serves without it\n"
    assert not asked.exists()
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("checkout", ["checkout"], indirect=True)
def test_what_is_in_the_way_is_named(checkout: Path, tmp_path: Path) -> None:
    checkout.chmod(0o700)
    done = install(checkout, "--root", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {checkout} is closed to other users")
    assert install(checkout, "--user", "--root", tmp_path).returncode == 0  # it is its owner's then
    checkout.chmod(0o755)
    (checkout / ".venv" / "bin" / "wyoming-qwen3tts").unlink()
    done = install(checkout, "--root", tmp_path / "other")
    assert "wyoming-qwen3tts is not there; script/setup makes it" in done.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("checkout", ["checkout"], indirect=True)
def test_only_root_installs_it_for_the_machine(checkout: Path) -> None:
    code = (
        "import os, runpy, sys\nos.geteuid = lambda: 1000\nsys.argv = sys.argv[1:]\n"
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    command = [sys.executable, "-c", code, str(checkout / "script" / "install-service")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 1
    assert "only root may do this: sudo script/install-service" in done.stderr
