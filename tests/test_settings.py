"""Options from the command line, variables and a file."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from wyoming_qwen3tts.cli import main
from wyoming_qwen3tts.config.describe import COMMON_OPTIONS, flag_name, page
from wyoming_qwen3tts.config.settings import GROUP_OF, OPTIONS, Settings, SettingsError
from wyoming_qwen3tts.config.sources import load as load_settings


def load(*arguments: str, **variables: str) -> Settings:
    return load_settings(arguments, {f"WYOMING_QWEN3TTS_{key}": value for key, value in variables.items()})


def test_the_defaults_need_nothing() -> None:
    assert load() == Settings()
    assert Settings().server.uri == ("tcp://0.0.0.0:10200",)


def test_the_command_line_wins_over_variables_and_they_over_the_file(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text('{"voice": "file", "idle_timeout": 5, "max_text": 7, "debug": true}')
    settings = load("--voice", "flag", "--options-file", str(path), VOICE="variable", MAX_TEXT="8")
    assert (
        settings.voices.voice,
        settings.limits.max_text,
        settings.limits.idle_timeout,
        settings.logging.debug,
    ) == (
        "flag",
        8,
        5.0,
        True,
    )
    assert load(OPTIONS_FILE=str(path)).voices.voice == "file"


def test_every_option_can_be_given_in_every_way(tmp_path: Path) -> None:
    values: dict[str, Any] = {
        key: {
            "uri": "unix:///a tcp://h:1",
            "engine": "espeak,builtin",
            "fallback": "false",
            "resume": "false",
            "model": "a,b/c@d",
            "voice": "v",
            "espeak_languages": "de",
            "log_format": "json",
            "zeroconf": "Z",
            "zeroconf_host": "h",
            "streaming": "false",
            "debug": "true",
            "local_files_only": "true",
            "live_text": "true",
            "device": "cuda:1",
            "dtype": "bfloat16",
            "quantize": "int8",
            "max_seq_len": "256",
            "max_queue": "65",
            "speed": "1.5",
            "tempo": "rubberband",
            "loudness": "-23.5",
            "trim_silence": "off",
            "trim_padding": "0.25",
            "sentence_silence": "1",
            "language": "de-AT",
            "languages": "de,en",
            "language_detector": "off",
            "normalize": "off",
            "emoji": "name",
            "first_clause": "false",
            "cache_memory": "65",
            "cache_live": "true",
            "cache_redis": "redis://h/1",
            "cors_origins": "https://a.example,http://b:1",
            "allowed_networks": "10.0.0.0/8,fd00::/8",
            "remote_uri": "tcp://gpu:10200 http://gpu:8091",
            "remote_connect_timeout": "3",
            "remote_announce": "true",
        }.get(key, "64")
        for key in OPTIONS
    } | {"keepalive_after": "3", "max_event_bytes": "2000"}
    flags: list[str] = []
    for key, value in values.items():
        flag = f"--{key.replace('_', '-')}"
        flags += {
            "streaming": ["--no-streaming"],
            "fallback": ["--no-fallback"],
            "resume": ["--no-resume"],
            "first_clause": ["--no-first-clause"],
            "debug": ["--debug"],
            "local_files_only": ["--local-files-only"],
            "live_text": ["--live-text"],
            "cache_live": ["--cache-live"],
            "remote_announce": ["--remote-announce"],
        }.get(key, [flag, value])
    path = tmp_path / "options.json"
    path.write_text(
        json.dumps(
            {
                key: float(v) if v.isdigit() and isinstance(OPTIONS[key].default, float) else v
                for key, v in values.items()
            }
        )
    )
    by_flag = load(*flags)
    assert by_flag == load(**{key.upper(): value for key, value in values.items()})
    assert by_flag == load("--options-file", str(path))
    given = {key: getattr(getattr(by_flag, GROUP_OF[key]), key) for key in OPTIONS}
    assert all(given[key] != field.default for key, field in OPTIONS.items())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--idle-timeout", "soon"],
            "--idle-timeout: 'soon' is not allowed; allowed: seconds from 0.1 to 86400",
        ),
        (
            ["--idle-timeout", "nan"],
            "--idle-timeout: 'nan' is not allowed; allowed: seconds from 0.1 to 86400",
        ),
        (["--max-text", "0"], "--max-text: '0' is not allowed; allowed: a whole number from 1 to 10000000"),
        (
            ["--max-text", "1.5"],
            "--max-text: '1.5' is not allowed; allowed: a whole number from 1 to 10000000",
        ),
        (["--log-format", "xml"], "--log-format: 'xml' is not allowed; allowed: text or json"),
        (
            ["--uri", "http://x"],
            "--uri: 'http://x' is not allowed; allowed: tcp://HOST:PORT, unix:///PATH or stdio://",
        ),
        (
            ["--uri", "tcp://h"],
            "--uri: 'tcp://h' is not allowed; allowed: tcp://HOST:PORT, unix:///PATH or stdio://",
        ),
        (["--uri", "tcp://h:99999"], "--uri: 'tcp://h:99999' is not allowed; allowed: tcp://HOST:PORT, "),
        (["--speed", "2.1"], "--speed: '2.1' is not allowed; allowed: a number from 0.5 to 2"),
        (["--loudness", "-3"], "--loudness: '-3' is not allowed; allowed: dBFS from -40 to -10, or off"),
        (
            ["--trim-silence", "0"],
            "--trim-silence: '0' is not allowed; allowed: dBFS from -90 to -20, or off",
        ),
        (["--voice", " "], "--voice: ' ' is not allowed; allowed: a voice's name"),
        (["--nonsense"], "there is no option '--nonsense' (--help-all lists the options)"),
        (["--voise=x"], "there is no option '--voise'; is '--voice' meant? (--help-all lists the options)"),
        (["--voice"], "--voice: expected one argument (--help-all lists the options)"),
        (["--options-file", "/does/not/exist"], "options file /does/not/exist: No such file or directory"),
    ],
)
def test_a_wrong_value_is_one_line_that_names_option_value_and_what_is_allowed(
    arguments: list[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {expected}")


@pytest.mark.parametrize(
    "url",
    [
        "redis://localhost",
        "redis://:secret@h:6379/1",
        "rediss://me:secret@[::1]:6380",
        "unix:///run/redis.sock?db=2",
        "unix://me:secret@/run/redis.sock",
        "rediss://h/1?ssl_ca_certs=/etc/ca.pem",
    ],
)
def test_a_redis_is_an_url_that_nobody_sees_printed(url: str) -> None:
    settings = load("--cache-redis", url)
    assert settings.cache.cache_redis == url
    assert "secret" not in repr(settings)


@pytest.mark.parametrize(
    "wrong",
    [
        "secret",
        "http://me:secret@h",
        "redis://",
        "redis://me:secret@h:x",
        "redis://secret@h/db",
        "redis://me:secret@h?socket_timeout=9",
        "unix://",
    ],
)
def test_a_wrong_redis_is_not_shown_with_its_password(wrong: str) -> None:
    with pytest.raises(
        SettingsError, match=r"--cache-redis: the given value .* is not allowed; allowed: redis://user:"
    ) as error:
        load("--cache-redis", wrong)
    assert "secret" not in str(error.value)


def test_a_wrong_variable_names_itself() -> None:
    with pytest.raises(SettingsError, match="DEBUG: 'perhaps' is not allowed; allowed: true or false"):
        load(DEBUG="perhaps")
    assert load(NO_SUCH="1").notes == ("variable without an option ignored name=WYOMING_QWEN3TTS_NO_SUCH",)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("{", "is not JSON"),
        ("[]", "an object of options was expected"),
        ('{"voise": "x"}', "there is no option 'voise'; is 'voice' meant?"),
        ('{"max_text": {}}', "max_text: {} is not allowed; allowed: a whole number"),
        ('{"max_text": "many"}', "max_text: 'many' is not allowed"),
        ('{"uri": ["tcp://h:1", 2]}', "uri: .* is not allowed"),
    ],
)
def test_a_wrong_options_file_names_itself_and_what_is_wrong(
    tmp_path: Path, content: str, expected: str
) -> None:
    path = tmp_path / "options.json"
    path.write_text(content)
    with pytest.raises(SettingsError, match=expected) as error:
        load("--options-file", str(path))
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_form_left_empty_is_an_option_not_set(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text('{"voice": "", "max_text": null, "uri": ["unix:///a", "tcp://h:1"]}')
    settings = load("--options-file", str(path))
    assert (settings.voices.voice, settings.limits.max_text) == (None, Settings().limits.max_text)
    assert settings.server.uri == ("unix:///a", "tcp://h:1")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], None),
        (["--zeroconf"], ""),
        (["--zeroconf", "Kitchen"], "Kitchen"),
        (["--zeroconf", "false"], None),
    ],
)
def test_zeroconf_takes_a_name_or_none(arguments: list[str], expected: str | None) -> None:
    assert load(*arguments).server.zeroconf == expected


def test_levels_can_be_switched_off(tmp_path: Path) -> None:
    assert load("--loudness", "-25").audio.loudness == -25
    assert load("--loudness", "off").audio.loudness is None
    path = tmp_path / "options.json"
    path.write_text('{"loudness": false, "trim_silence": -60}')
    settings = load("--options-file", str(path))
    assert (settings.audio.loudness, settings.audio.trim_silence) == (None, -60)


def test_repeated_uris_add_up() -> None:
    assert load("--uri", "tcp://h:1", "--uri", "stdio://").server.uri == ("tcp://h:1", "stdio://")


@pytest.mark.parametrize("argument", ["--help", "--help-all", "--version"])
def test_help_and_version_print_and_end(argument: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([argument])
    assert ended.value.code == 0
    output = capsys.readouterr().out
    assert output
    listed = {key for key in OPTIONS if re.search(rf"^  {flag_name(key)}\b", output, re.M)}
    expected = {"--help": set(COMMON_OPTIONS), "--help-all": set(OPTIONS), "--version": set()}
    assert listed == expected[argument]


def test_models_are_given_one_by_one_or_together(tmp_path: Path) -> None:
    path = tmp_path / "options.json"
    path.write_text('{"model": ["/a b", "c/d@e"]}')
    expected = ("/a b", "c/d@e")
    assert load("--model", "/a b", "--model", "c/d@e").model.model == expected
    assert load("--model", "/a b, c/d@e,/a b").model.model == expected
    assert load(MODEL="/a b,c/d@e").model.model == expected
    assert load("--options-file", str(path)).model.model == expected
    with pytest.raises(
        SettingsError, match="--model: 'a,,b' is not allowed; allowed: directories, or models' names"
    ):
        load("--model", "a,,b")


def test_the_data_directory_is_where_a_users_data_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert load().voices.directory == tmp_path / "wyoming-qwen3tts"
    monkeypatch.delenv("XDG_DATA_HOME")
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load().voices.directory == Path("/home/somebody/.local/share/wyoming-qwen3tts")
    assert load("--data-dir", "/data").voices.directory == Path("/data")


@pytest.mark.parametrize(
    "value", ['{"k": "s3cret-s3cret-s3cret"}', '[["s3cret-s3cret-s3cret"]]', '",s3cret-s3cret,"']
)
def test_a_secret_that_is_wrong_is_not_shown(tmp_path: Path, value: str) -> None:
    path = tmp_path / "options.json"
    path.write_text(f'{{"api_keys": {value}}}')
    with pytest.raises(SettingsError) as caught:
        load_settings(["--options-file", str(path)], {})
    assert "api_keys" in str(caught.value)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("empty", ["", " ", "\n"])
def test_an_empty_variable_is_not_set_for_any_option(empty: str) -> None:
    assert load(**{key.upper(): empty for key in (*OPTIONS, "OPTIONS_FILE")}) == Settings()


def test_the_page_of_options_is_up_to_date() -> None:
    committed = Path(__file__).parents[1] / "docs/configuration.md"
    assert committed.read_text() == page(), (
        "python -m wyoming_qwen3tts.config.describe > docs/configuration.md"
    )


def test_every_option_says_when_to_change_it() -> None:
    for key, declared in OPTIONS.items():
        assert re.fullmatch(r"\w.*[^.\s]", declared.metadata["when"]), key
