"""The repository as a Home Assistant app: what the Supervisor and the store read."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import wyoming_qwen3tts
from wyoming_qwen3tts.config.app_form import app_schema, app_texts
from wyoming_qwen3tts.config.settings import OPTIONS, Settings

ROOT = Path(__file__).resolve().parent.parent
APP = yaml.safe_load((ROOT / "config.yaml").read_text())
NUMBER = r"-?\d*\.?\d*"
ELEMENT = re.compile(
    rf"(?:str|password|bool|email|url|port|(?:int|float)(?:\({NUMBER},{NUMBER}\))?|match\(.+\)|list\([^()]+\))\?"
)
"""An optional value of the app's schema. What is not optional would have to stand in ``options``."""
CAPABILITY = re.compile(r"capability (\w+),")


def test_the_app_offers_the_settings_and_nothing_else() -> None:
    assert APP["schema"] == app_schema(), app_schema()
    assert APP["options"] == {}
    for key, kind in APP["schema"].items():
        assert ELEMENT.fullmatch(kind), f"{key}: {kind}"


def test_the_app_has_what_the_supervisor_asks_for() -> None:
    for key in ("name", "version", "slug", "description", "arch", "startup", "stage"):
        assert APP[key], key
    assert APP["version"] == wyoming_qwen3tts.__version__
    assert re.fullmatch(r"[a-z0-9_]+", APP["slug"])
    assert APP["arch"] == ["amd64", "aarch64"]
    assert APP["startup"] == "application"
    assert APP["stage"] in {"stable", "experimental"}
    assert APP["init"] is False  # tini is in the image
    assert "image" not in APP  # it is built from here
    assert not (ROOT / "build.yaml").exists()


def test_the_app_can_be_discovered_watched_and_looked_at() -> None:
    assert APP["discovery"] == ["wyoming"]
    assert APP["ports"] == {"10200/tcp": None, "8080/tcp": None}
    assert set(APP["ports_description"]) == set(APP["ports"])
    assert APP["watchdog"] == "tcp://[HOST]:[PORT:10200]"
    assert Settings().server.uri == ("tcp://0.0.0.0:10200",)
    assert APP["ingress"] is True
    environment = APP["environment"]
    assert environment["WYOMING_QWEN3TTS_INGRESS_PORT"] == str(APP["ingress_port"])
    assert environment["WYOMING_QWEN3TTS_OPTIONS_FILE"] == "/data/options.json"
    assert all(isinstance(value, str) for value in environment.values())


def test_the_app_asks_for_no_rights_it_has_no_use_for() -> None:
    asked = set(APP) & {
        *("host_network", "privileged", "full_access", "hassio_api", "homeassistant_api", "docker_api"),
        *("host_pid", "host_ipc", "host_dbus", "devices", "gpio", "usb", "uart", "auth_api", "hassio_role"),
    }
    assert asked == set()
    assert APP["map"] == [{"type": "addon_config", "read_only": True, "path": "/config"}]


def test_a_backup_leaves_out_what_is_made_again() -> None:
    from wyoming_qwen3tts.app import LEVELS, STYLES
    from wyoming_qwen3tts.cache.sqlite import FILE_NAME

    left_out = APP["backup_exclude"]
    for made in (FILE_NAME, f"{FILE_NAME}-wal", "huggingface", "cache", "prompts", "references"):
        assert any(Path("/data", made).match(pattern) for pattern in left_out), made
    for own in ("voices", "voices/Aunt May/recording.wav", STYLES, LEVELS, "options.json"):
        assert not any(Path("/data", own).match(pattern) for pattern in left_out), own


def test_the_repository_can_be_given_to_the_store() -> None:
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text())
    assert repository["name"]
    assert set(repository) <= {"name", "url", "maintainer"}


def translation(language: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "translations" / f"{language}.yaml").read_text())
    return found


def test_the_english_texts_are_the_settings_own() -> None:
    wanted = {"configuration": app_texts(), "network": APP["ports_description"]}
    made_anew = yaml.safe_dump(wanted, sort_keys=False, width=110, allow_unicode=True)
    assert translation("en") == wanted, f"translations/en.yaml should be:\n{made_anew}"


def test_every_option_and_port_has_a_german_name_and_text() -> None:
    german, english = translation("de"), translation("en")
    assert list(german["configuration"]) == list(app_schema())
    assert set(german["network"]) == set(APP["ports"])
    for key, texts in german["configuration"].items():
        assert set(texts) == {"name", "description"}, key
        assert all(texts.values()), key
        assert texts["description"] != english["configuration"][key]["description"], key
        # Figures that stand in both must be the same ones.
        for number in re.findall(r"(?<!\S)-?\d[\d.]*\d\b", english["configuration"][key]["description"]):
            assert number in texts["description"], f"{key}: {number}"


def test_the_german_texts_name_the_default_of_every_option_that_has_one() -> None:
    for key, texts in translation("de")["configuration"].items():
        default = OPTIONS[key].default
        said = texts["description"].partition("Vorgabe: ")[2].rstrip(".")
        if default is None or default == ():
            assert said == "", key
        elif isinstance(default, bool):
            assert said == ("an" if default else "aus"), key
        else:
            assert said == app_texts()[key]["description"].partition("Default: ")[2].rstrip("."), key


def chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield the kind and content of each part of a PNG file."""
    at = 8
    while at < len(png):
        (length,) = struct.unpack(">I", png[at : at + 4])
        yield png[at + 4 : at + 8], png[at + 8 : at + 8 + length]
        at += 12 + length


@pytest.mark.parametrize(("name", "width", "height"), [("icon.png", 128, 128), ("logo.png", 250, 100)])
def test_the_pictures_have_the_store_s_sizes(name: str, width: int, height: int) -> None:
    head = (ROOT / name).read_bytes()[:26]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    assert struct.unpack(">II", head[16:24]) == (width, height)
    assert head[25] == 6  # with transparency
    rows = zlib.decompress(
        b"".join(data for kind, data in chunks((ROOT / name).read_bytes()) if kind == b"IDAT")
    )
    assert len(rows) == height * (1 + 4 * width)
    assert any(rows[len(rows) * 2 // 3 :])  # drawn down to the last third


def test_there_are_the_texts_that_the_store_shows() -> None:
    for name in ("README.md", "DOCS.md", "CHANGELOG.md"):
        assert (ROOT / name).read_text().startswith("# ")
    documented = (ROOT / "DOCS.md").read_text()
    for name in re.findall(r"\*([A-Z][a-z]+(?: [A-Z]\w+| announce| keys)*)\* ", documented):
        known = {texts["name"] for texts in app_texts().values()}
        assert name in known | {"Speech", "Discovered"}, name


def test_the_apparmor_profile_is_the_app_s_and_allows_no_more_than_it_needs() -> None:
    profile = (ROOT / "apparmor.txt").read_text()
    (head,) = re.findall(r"^profile (\w+) flags=\((.+)\) \{$", profile, re.M)
    assert head == (APP["slug"], "attach_disconnected,mediate_deleted")
    assert profile.count("{") - profile.count("@{") == profile.count("}") - profile.count("@{") == 1
    assert set(CAPABILITY.findall(profile)) == {"chown", "dac_override", "setgid", "setuid", "kill"}
    rules = [
        line.strip() for line in profile.splitlines() if line.strip() and not line.strip().startswith("#")
    ]
    assert all(rule.endswith((",", "{", "}")) for rule in rules)
    writable = {rule.split()[0] for rule in rules if re.search(r" \w*w\w*,$", rule) and "deny" not in rule}
    assert {path.split("/")[1] for path in writable if path.startswith("/")} == {"data", "tmp", "run", "dev"}
    for line in ("file,", "network,", "capability,", "ptrace,", "mount,"):
        assert line not in rules
    # Nothing that is written to can be run.
    assert not [rule for rule in rules if re.search(r" \w*w\w*x|x\w*w", rule.rpartition(" ")[2])]
    for path in ("/data/** rwkl,", "/opt/** mrix,", "/config/** r,", "network inet stream,"):
        assert path in rules


def test_the_apparmor_profile_can_be_parsed() -> None:
    if shutil.which("apparmor_parser") is None:
        pytest.fail("apparmor_parser is missing; install it: apt-get install apparmor", pytrace=False)
    done = subprocess.run(
        ["apparmor_parser", "--skip-kernel-load", "--skip-cache", str(ROOT / "apparmor.txt")],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
