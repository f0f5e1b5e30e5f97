"""The repository as a Home Assistant app: what the Supervisor and the store read."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import sys
import tomllib
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import wyoming_qwen3tts
from wyoming_qwen3tts.config.app_form import app_schema
from wyoming_qwen3tts.config.settings import OPTIONS, Settings, SettingsError
from wyoming_qwen3tts.config.sources import MORE_OPTIONS, load

ROOT = Path(__file__).resolve().parent.parent
APP = yaml.safe_load((ROOT / "config.yaml").read_text())
NUMBER = r"-?\d*\.?\d*"
ELEMENT = re.compile(
    rf"(?:str|password|bool|email|url|port|(?:int|float)(?:\({NUMBER},{NUMBER}\))?|match\(.+\)|list\([^()]+\))\?"
)
"""An optional value of the app's schema. What is not optional would have to stand in ``options``."""
CAPABILITY = re.compile(r"capability (\w+),")


def test_the_app_has_at_most_sixteen_fields_with_the_schema_of_their_options() -> None:
    assert list(APP["schema"].items()) == list(app_schema().items()), app_schema()
    assert len(APP["schema"]) <= 16
    assert APP["options"] == {}
    for key, kind in APP["schema"].items():
        assert ELEMENT.fullmatch(kind[0] if key == MORE_OPTIONS else kind), f"{key}: {kind}"


def test_the_server_starts_with_the_options_that_the_supervisor_writes(tmp_path: Path) -> None:
    """A file as it looks after the form: fields left empty are absent or an empty list."""
    path = tmp_path / "options.json"
    form = {"speed": 1.2, "languages": "en,de", "debug": True, "espeak_languages": "none"}
    more = ["max_text=20", "--sentence-silence = 0.1", "engine=builtin"]
    path.write_text(json.dumps({**form, MORE_OPTIONS: more}))
    variables = {**os.environ, "WYOMING_QWEN3TTS_OPTIONS_FILE": str(path)}
    variables |= {"WYOMING_QWEN3TTS_URI": "stdio://", "WYOMING_QWEN3TTS_DATA_DIR": str(tmp_path / "data")}
    event = {"type": "synthesize", "data": {"text": "More than twenty characters."}}
    done = subprocess.run(
        [sys.executable, "-m", "wyoming_qwen3tts"],
        cwd=ROOT,
        env=variables,
        input=f"{json.dumps({'type': 'describe'})}\n{json.dumps(event)}\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "heart" in done.stdout
    assert "espeak-de" not in done.stdout
    assert "20 characters" in done.stdout, done.stdout[-500:]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({MORE_OPTIONS: ["max_txt=5"]}, "there is no option 'max_txt'; is 'max_text' meant?"),
        ({MORE_OPTIONS: ["max_text=many"]}, "max_text: 'many' is not allowed"),
        ({MORE_OPTIONS: ["engine=builtin", "secret5"]}, "more_options: entry 2 is not name=value"),
        ({MORE_OPTIONS: ["=secret5"]}, "more_options: entry 1 is not name=value"),
        ({MORE_OPTIONS: "max_text=5"}, "more_options: a list of texts was expected"),
        ({MORE_OPTIONS: ["cache_redis=secret5"]}, "cache_redis: the given value (not shown"),
        ({MORE_OPTIONS: ["emoji=drop", "emoji=name"]}, "emoji is there twice"),
        ({MORE_OPTIONS: ["speed=1.5"], "speed": 1.2}, "speed is set twice; remove it from more_options"),
        ({MORE_OPTIONS: ["more_options=x"]}, "there is no option 'more_options'"),
    ],
)
def test_a_wrong_entry_of_more_options_is_named_without_its_value(
    tmp_path: Path, content: dict[str, Any], expected: str
) -> None:
    path = tmp_path / "options.json"
    path.write_text(json.dumps(content))
    with pytest.raises(SettingsError) as error:
        load(["--options-file", str(path)], {})
    assert expected in str(error.value)
    assert str(path) in str(error.value)
    assert "secret5" not in str(error.value)


def test_empty_entries_of_more_options_are_not_set(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text(json.dumps({MORE_OPTIONS: ["", "voice=", "api_keys=a=b"], "voice": ""}))
    settings = load(["--options-file", str(path)], {})
    assert settings.voices.voice is None
    assert settings.http.api_keys == ("a=b",)


def test_the_app_has_what_the_supervisor_asks_for() -> None:
    for key in ("name", "version", "slug", "description", "arch", "startup", "stage"):
        assert APP[key], key
    assert APP["version"] == wyoming_qwen3tts.__version__
    assert re.fullmatch(r"[a-z0-9_]+", APP["slug"])
    assert APP["arch"] == ["amd64", "aarch64"]
    assert APP["startup"] == "application"
    assert APP["stage"] in {"stable", "experimental"}
    assert APP["init"] is False  # tini is in the image
    assert re.fullmatch(r"\d{4}\.\d+\.\d+", APP["homeassistant"])
    assert not (ROOT / "build.yaml").exists()


def test_the_app_s_keys_and_types_are_those_that_the_supervisor_knows() -> None:
    """Keys and types of supervisor/apps/validate.py in 2026; what it does not know it ignores without a word."""
    kinds = {
        **dict.fromkeys(("name", "version", "slug", "description", "url", "image", "homeassistant"), str),
        **dict.fromkeys(("startup", "stage", "panel_icon", "panel_title", "watchdog"), str),
        **dict.fromkeys(("init", "ingress", "ingress_stream", "apparmor"), bool),
        **dict.fromkeys(("arch", "discovery", "map", "backup_exclude"), list),
        **dict.fromkeys(("ports", "ports_description", "environment", "options", "schema"), dict),
        "ingress_port": int,
    }
    assert {key: kind for key, kind in kinds.items() if not isinstance(APP[key], kind)} == {}
    assert set(APP) == set(kinds)
    image = r"([a-zA-Z\-\.:\d{}]+/)*?([\-\w{}]+)/([\-\w{}]+)"
    assert re.fullmatch(image, APP["image"])
    assert re.fullmatch(r"(?:https?|tcp)://\[HOST\]:(\[PORT:\d+\]|\d+).*", APP["watchdog"])
    assert all(re.fullmatch(r"\d+/(?:tcp|udp)", port) for port in APP["ports"])
    for language in ("en", "de"):
        texts = translation(language)
        assert all(isinstance(text, str) for text in texts["network"].values())


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


def test_the_files_that_name_the_project_s_address_agree() -> None:
    address = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    assert APP["url"] == yaml.safe_load((ROOT / "repository.yaml").read_text())["url"] == address
    owner, name = address.removeprefix("https://github.com/").split("/")
    contact = (ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml").read_text()
    for text in (contact, (ROOT / "SECURITY.md").read_text()):
        assert f"github.com/{owner}/{name}/" in text
    assert APP["image"] == f"ghcr.io/{owner.lower()}/{name}-app"


def test_the_store_finds_exactly_one_app() -> None:
    """The Supervisor reads every config.yaml, .yml and .json below the repository, hidden folders apart."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert [
        name
        for name in tracked.splitlines()
        if re.fullmatch(r"(?:.*/)?config\.(?:ya?ml|json)", name)
        and not any(part.startswith(".") or part == "rootfs" for part in name.split("/"))
    ] == ["config.yaml"]
    assert (ROOT / "Dockerfile").exists()  # a build without image: takes it from the app's folder


def translation(language: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ROOT / "translations" / f"{language}.yaml").read_text())
    return found


@pytest.mark.parametrize("language", ["en", "de"])
def test_every_field_and_port_has_a_name_and_a_text(language: str) -> None:
    texts = translation(language)
    assert set(texts) == {"configuration", "network"}
    assert list(texts["configuration"]) == list(APP["schema"])
    assert set(texts["network"]) == set(APP["ports"])
    for key, text in texts["configuration"].items():
        assert set(text) == {"name", "description"}, key
        assert 2 <= len(text["name"]) <= 60, key
        assert text["description"].endswith("."), key


def test_the_german_texts_are_translated_and_name_the_same_examples() -> None:
    german, english = translation("de"), translation("en")
    example = re.compile(r"\w+://[\w.:]+|/\w+/[\w.]+|(?<![\w.-])-?\d+(?:[./]\d+)*")
    for key, text in english["configuration"].items():
        assert german["configuration"][key]["name"] != text["name"], key
        there = german["configuration"][key]["description"]
        assert there != text["description"], key
        assert set(example.findall(there)) == set(example.findall(text["description"])), key
    assert all(german["network"][port] != english["network"][port] for port in APP["ports"])
    assert english["network"] == APP["ports_description"]


def test_the_texts_name_the_default_where_empty_means_one() -> None:
    for language, word in (("en", "Empty means {}."), ("de", "Leer bedeutet {}.")):
        texts = translation(language)["configuration"]
        for key in ("loudness", "cache_disk"):
            assert texts[key]["description"].endswith(word.format(f"{OPTIONS[key].default:g}")), key


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
    assert len((ROOT / "CHANGELOG.md").read_text().splitlines()) <= 40


def test_the_documentation_lists_every_field_by_its_name() -> None:
    rows = re.findall(r"^\| ([^|]+) \| [^|]+ \|$", (ROOT / "DOCS.md").read_text(), re.MULTILINE)
    assert rows[1:] == [text["name"] for text in translation("en")["configuration"].values()]


def test_the_documentation_s_log_lines_are_those_of_the_server() -> None:
    source = "".join(path.read_text() for path in (ROOT / "wyoming_qwen3tts").rglob("*.py"))
    section = (ROOT / "DOCS.md").read_text().split("## Troubleshooting", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"^`(.+)`$", section, re.MULTILINE)
    facts = [
        ("engine: no voices engine=remote reason=", "engine: no voices engine=%s reason="),
        ("is not allowed; allowed:", "is not allowed; allowed: {kind.allowed}"),
        (
            "there is no option 'max_txt'; is 'max_text' meant?",
            "there is no option {key!r}{nearest(key, OPTIONS)}",
        ),
        ("voice 'nobody' is not one of: heart", "is not one of: "),
        (
            "lexicon: cannot be read, the previous entries stay path=",
            "cannot be read, the previous entries stay",
        ),
        ("supervisor: discovery failed, giving up uri=", "supervisor: discovery failed, giving up uri="),
    ]
    assert len(lines) == len(facts)
    for line, (shown, written) in zip(lines, facts, strict=True):
        assert shown in line
        assert written in source


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
