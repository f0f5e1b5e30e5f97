"""The commands for people, as processes against a running service."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import sys
import wave
from pathlib import Path

import pytest
from wyoming.info import Describe

from tests.house import HANG, ScriptedEngine, connect, service, tone
from wyoming_qwen3tts.cli import COMMANDS, main
from wyoming_qwen3tts.client import default_uri


async def run(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "wyoming_qwen3tts", *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **(env or {})},
    )
    output, errors = await asyncio.wait_for(process.communicate(stdin), HANG)
    assert process.returncode is not None
    return process.returncode, output.decode(), errors.decode()


def pcm(path: Path) -> bytes:
    with wave.open(str(path)) as file:
        assert (file.getframerate(), file.getsampwidth(), file.getnchannels()) == (24_000, 2, 1)
        frames: bytes = file.readframes(file.getnframes())
        return frames


NO_SERVER = "no server answers at tcp://127.0.0.1:10200: this process does the work itself\n"


def need_no_default_server() -> None:
    """Skip the test where a server listens at the default address."""
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", 10200)) == 0:
            pytest.skip("a server listens on port 10200")


async def test_say_without_a_server_speaks_in_its_own_process(tmp_path: Path) -> None:
    need_no_default_server()
    path = tmp_path / "hello.wav"
    own = {"WYOMING_QWEN3TTS_DATA_DIR": str(tmp_path / "data")}
    status, output, errors = await run("say", "Hello there.", "--output", str(path), env=own)
    assert (status, output) == (0, "")
    note, result = errors.splitlines()
    assert f"{note}\n" == NO_SERVER
    assert result.startswith(f"{path}: ")
    assert len(pcm(path)) > 24_000


async def test_say_with_an_option_of_the_server_speaks_in_its_own_process(tmp_path: Path) -> None:
    path = tmp_path / "hallo.wav"
    place = ("--data-dir", str(tmp_path / "data"))
    words = ("--language", "de", "--engine", "espeak", "--speed", "1.5", "--output", str(path), *place)
    status, _, errors = await run("say", "Guten Tag.", *words)
    assert status == 0, errors
    assert len(errors.splitlines()) == 1
    assert len(pcm(path)) > 24_000


async def test_an_option_of_the_server_cannot_change_a_running_server() -> None:
    status, _, errors = await run(
        "say", "Hi.", "--uri", "tcp://127.0.0.1:1", "--speed", "2", "--output", "a.wav"
    )
    assert status == 2
    assert errors.startswith(
        "error: --speed is an option of the server, and the one at tcp://127.0.0.1:1 runs"
    )


@pytest.mark.parametrize(
    ("command", "given", "variable", "hint"),
    [
        ("say", "tcp://127.0.0.1:1", "", "there: wyoming-qwen3tts serve --uri tcp://127.0.0.1:1"),
        ("say", "", "tcp://0.0.0.0:1", "there: wyoming-qwen3tts serve --uri tcp://127.0.0.1:1"),
        ("say", "unix:///nowhere/s", "", "there: wyoming-qwen3tts serve --uri unix:///nowhere/s"),
        ("health", "tcp://127.0.0.1:1", "", "there: wyoming-qwen3tts serve --uri tcp://127.0.0.1:1"),
        ("voices", "tcp://0.0.0.0:1", "", "on that machine: wyoming-qwen3tts serve --uri tcp://0.0.0.0:1"),
    ],
)
async def test_a_server_that_was_named_and_does_not_answer_is_an_error_with_the_command_that_starts_it(
    command: str, given: str, variable: str, hint: str, tmp_path: Path
) -> None:
    words = [
        *(["--uri", given] if given else []),
        *(["--output", "a.wav", "Hi."] if command == "say" else []),
    ]
    own = {"WYOMING_QWEN3TTS_DATA_DIR": str(tmp_path)}
    status, output, errors = await run(command, *words, env={"WYOMING_QWEN3TTS_URI": variable, **own})
    assert (status, output) == (1, "")
    assert errors.startswith("error: cannot connect to ")
    assert errors.endswith(f"; to start a server {hint}\n")
    assert len(errors.splitlines()) == 1


async def test_say_finds_a_wrong_output_before_it_speaks(scripted: str, tmp_path: Path) -> None:
    status, _, errors = await run("say", "Hi.", "--uri", scripted, "--output", str(tmp_path))
    assert (status, errors) == (
        1,
        f"error: --output: {tmp_path} is not a file; name one, such as hello.wav\n",
    )
    status, _, errors = await run("say", "Hi.", "--uri", scripted, "--output", "/dev/null")
    assert (status, Path("/dev/null").is_char_device()) == (1, True)
    status, _, errors = await run("say", "Hi.", "--uri", scripted, "--output", str(tmp_path / "no" / "a.wav"))
    assert status == 1
    assert errors == f"error: --output: there is no directory {tmp_path / 'no'}; create it first\n"


async def test_say_with_a_voice_or_a_model_that_does_not_exist_is_an_error(
    scripted: str, tmp_path: Path
) -> None:
    output = ("--output", str(tmp_path / "a.wav"))
    status, _, errors = await run("say", "Hi.", "--uri", scripted, "--voice", "nobody", *output)
    assert (status, errors) == (
        1,
        "error: there is no voice 'nobody' (voice-not-found); wyoming-qwen3tts voices lists them\n",
    )
    own = {"WYOMING_QWEN3TTS_DATA_DIR": str(tmp_path / "data")}
    status, _, errors = await run("say", "Hi.", "--model", "/nowhere", *output, env=own)
    assert (status, errors) == (1, "error: --model /nowhere: there is no directory /nowhere\n")
    status, _, errors = await run("say", " ", *output)
    assert (status, errors) == (2, "error: the text is empty\n")
    status, _, errors = await run("health", env={"WYOMING_QWEN3TTS_URI": "nonsense"})
    assert (status, errors.partition(";")[0]) == (2, "error: WYOMING_QWEN3TTS_URI: 'nonsense' is not allowed")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["sya"], "there is no command 'sya'; is 'say' meant? (--help lists the commands)"),
        (["xyzzy"], "there is no command 'xyzzy' (--help lists the commands)"),
        (
            ["say", "--outptu", "a"],
            "there is no option '--outptu'; is '--output' meant? (--help-all lists the ",
        ),
        (["health", "--ur", "a"], "there is no option '--ur'; is '--uri' meant? (--help lists the options)"),
        (
            ["health", "--uri", "nonsense"],
            "--uri: 'nonsense' is not allowed; allowed: tcp://HOST:PORT or ",
        ),
        (
            ["health", "--timeout", "x"],
            "--timeout: 'x' is not allowed; allowed: seconds over 0 (--help ",
        ),
        (
            ["cache", "stat"],
            "there is no subcommand 'stat' of cache; is 'stats' meant? (cache --help lists the ",
        ),
        (
            ["cache", "stats", "--jsn"],
            "there is no option '--jsn'; is '--json' meant? (--help lists the options)",
        ),
        (["say", "Good", "morning"], "'morning' is one argument too many; put a text in quotation marks"),
        (["--debug", "say"], "'say' is one argument too many; a command comes first, then its options"),
    ],
)
def test_a_mistyped_word_is_named_with_the_nearest(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {message}")


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    printed = capsys.readouterr().out
    assert all(
        re.search(rf"^  {name} +{command.summary}$", printed, re.M) for name, command in COMMANDS.items()
    )
    assert len(printed.splitlines()) < 50


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_describes_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([name, "--help"])
    assert ended.value.code == 0
    assert capsys.readouterr().out.startswith(f"usage: wyoming-qwen3tts {name} {COMMANDS[name].usage}\n")


async def test_say_saves_what_it_hears(scripted: str, tmp_path: Path) -> None:
    path = tmp_path / "hello.wav"
    status, _, errors = await run("say", "Hello there.", "--uri", scripted, "--output", str(path))
    assert status == 0
    assert pcm(path) == tone("Hello there.")
    assert "hello.wav: 0.2 s of audio, first audio after " in errors
    assert [entry.name for entry in tmp_path.iterdir()] == ["hello.wav"]


@pytest.mark.parametrize("piped", [False, True])
async def test_say_waits_for_the_text_where_a_server_takes_it_whole(tmp_path: Path, piped: bool) -> None:
    engine, path = ScriptedEngine(), tmp_path / "whole.wav"
    text = "Hello there. How are you?"
    async with service([engine], streaming=False) as uri:
        told = ("say", "--voice", "Klang Zwei", "--uri", uri, "--output", str(path))
        status, _, errors = await run(*told, *([] if piped else [text]), stdin=text.encode())
    assert status == 0, errors
    assert pcm(path) == tone("Hello there.") + tone("How are you?")
    assert {each.voice.name for each in engine.told} == {"Klang Zwei"}


async def test_say_streams_from_a_pipe(tmp_path: Path) -> None:
    engine = ScriptedEngine()
    path = tmp_path / "piped.wav"
    async with service([engine]) as uri:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wyoming_qwen3tts", "say", "--uri", uri, "--output", str(path)),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert process.stdin is not None
        process.stdin.write("Première phrase. Deux".encode()[:-2])
        async with asyncio.timeout(HANG):
            while not engine.said:  # noqa: ASYNC110 - the text before the end of the pipe is spoken
                await asyncio.sleep(0.01)
        process.stdin.write("uxième.".encode())
        process.stdin.close()
        await asyncio.wait_for(process.wait(), HANG)
    assert engine.said == ["Première phrase.", "Deuxième."]
    assert pcm(path) == tone("Première phrase.") + tone("Deuxième.")


LATIN_1 = "Première phrase. Deuxième.".encode("latin-1")


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("sent", "at"),
    [
        (LATIN_1, "byte 0xe8 at 5"),
        ("Première. ".encode() + b"\xff.", "byte 0xff at 11"),
        (b"A\xc3", "byte 0xc3 at 1"),
    ],
)
async def test_say_refuses_standard_input_that_is_not_utf_8_in_one_line(
    tmp_path: Path, streaming: bool, sent: bytes, at: str
) -> None:
    path = tmp_path / "wrong.wav"
    async with service([ScriptedEngine()], streaming=streaming) as uri:
        status, output, errors = await run("say", "--uri", uri, "--output", str(path), stdin=sent)
    assert (status, output) == (2, "")
    assert errors.strip().splitlines() == [
        f"error: standard input is not UTF-8 ({at}); iconv converts other encodings"
    ]
    assert list(tmp_path.iterdir()) == []


async def test_say_refuses_input_that_is_not_utf_8_while_its_pipe_stays_open(
    scripted: str, tmp_path: Path
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "wyoming_qwen3tts",
            "say",
            "--uri",
            scripted,
            "--output",
            str(tmp_path / "a.wav"),
        ),
        stdin=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(LATIN_1)
    async with asyncio.timeout(HANG):
        assert await process.wait() == 2


@pytest.mark.parametrize("arguments", [("caf\udce9",), ("Hello.", "--voice", "Andr\udce9")])
async def test_say_refuses_arguments_that_are_not_utf_8(scripted: str, arguments: tuple[str, ...]) -> None:
    status, output, errors = await run("say", *arguments, "--uri", scripted)
    assert (status, output) == (2, "")
    assert len(errors.splitlines()) == 1
    assert "it is not UTF-8, at character" in errors


@pytest.mark.parametrize("after", [b"", b"Hello there. How are you? I am fine. "])
async def test_say_ends_when_its_server_closes_early_though_more_text_may_come(
    tmp_path: Path, after: bytes
) -> None:
    """The server dies while the pipe with the text stays open and silent."""
    path = tmp_path / "broken.wav"
    async with service([ScriptedEngine()], stop_timeout=0) as uri:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wyoming_qwen3tts", "say", "--uri", uri, "--output", str(path)),
            stdin=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        assert process.stdin is not None
        process.stdin.write(after or b"H")
        async with connect(uri) as client:
            while not path.with_name("broken.wav.part").exists():  # noqa: ASYNC110 - it is connected soon after
                await asyncio.sleep(0.01)
            await client.write_event(Describe().event())
            await asyncio.sleep(0.3)
    assert process.stderr is not None
    async with asyncio.timeout(HANG):
        errors = (await process.stderr.read()).decode()
        assert await process.wait() == 1
    assert errors.startswith("error: ")
    assert len(errors.splitlines()) == 1
    assert not path.exists()


async def test_say_plays_with_the_player_of_the_machine(scripted: str, tmp_path: Path) -> None:
    player = tmp_path / "aplay"
    player.write_text(f'#!/bin/sh\necho "$@" > {tmp_path}/arguments\ncat > {tmp_path}/played\n')
    player.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    status, _, errors = await run("say", "Aloud.", "--uri", scripted, env=path)
    assert (status, errors.startswith("played: ")) == (0, True)
    assert (tmp_path / "played").read_bytes() == tone("Aloud.")
    assert (tmp_path / "arguments").read_text() == "-q -t raw -f S16_LE -r 24000 -c 1\n"
    player.write_text("#!/bin/sh\ncat > /dev/null\nexit 1\n")
    status, _, errors = await run("say", "Aloud.", "--uri", scripted, env=path)
    assert (status, "aplay could not play the audio" in errors) == (1, True)


async def test_say_without_a_player_tells_what_to_do(scripted: str, monkeypatch: pytest.MonkeyPatch) -> None:
    status, _, errors = await run("say", "Hello.", "--uri", scripted, env={"PATH": "/nowhere"})
    assert status == 1
    assert errors.startswith("error: no audio player was found (aplay, ")
    assert "--output FILE.wav" in errors


async def test_say_leaves_no_file_when_the_server_fails(tmp_path: Path) -> None:
    async def break_off(utterance):  # type: ignore[no-untyped-def]
        yield tone("half")
        raise RuntimeError

    path = tmp_path / "never.wav"
    async with service([ScriptedEngine(break_off)]) as uri:
        status, _, errors = await run("say", "Hello.", "--uri", uri, "--output", str(path))
    assert (status, errors) == (
        1,
        "error: internal error; the server's log has the details (internal-error)\n",
    )
    assert list(tmp_path.iterdir()) == []


async def test_voices_lists_names_languages_and_descriptions(home: str) -> None:
    status, output, _ = await run("voices", "--uri", home)
    assert status == 0
    assert output.splitlines()[0].split(maxsplit=2) == [
        "heart",
        "en-US",
        "Heart (American English, built-in)",
    ]
    assert any(line.startswith("espeak-de ") for line in output.splitlines())


async def test_health_is_an_exit_status(home: str) -> None:
    status, output, _ = await run("health", env={"WYOMING_QWEN3TTS_URI": home})
    assert (status, output.startswith("ok: ")) == (0, True)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        uri = f"tcp://127.0.0.1:{deaf.getsockname()[1]}"
        status, _, errors = await run("health", "--uri", uri, "--timeout", "0.3")
        assert (status, errors) == (1, f"error: {uri} did not answer for 0.3 s\n")
    status, _, errors = await run("health", "--uri", uri)
    assert (status, errors.startswith(f"error: cannot connect to {uri}: Connection refused; ")) == (1, True)


@pytest.mark.parametrize(
    ("listening", "uri"),
    [
        ("tcp://0.0.0.0:10300", "tcp://127.0.0.1:10300"),
        ("tcp://[::]:10300 unix:///x", "tcp://[::1]:10300"),
        ("unix:///run/speech.sock", "unix:///run/speech.sock"),
        ("stdio:// tcp://0.0.0.0:1", "tcp://127.0.0.1:1"),
        ("stdio://", "tcp://127.0.0.1:10200"),
        ("", "tcp://127.0.0.1:10200"),
    ],
)
def test_commands_look_where_the_server_listens(
    listening: str, uri: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WYOMING_QWEN3TTS_URI", listening)
    assert default_uri() == uri


async def test_voices_of_the_data_directory_are_listed_where_no_server_speaks_them(
    scripted: str, tmp_path: Path
) -> None:
    from tests.recordings import save, speech

    (tmp_path / "voices" / "Anna").mkdir(parents=True)
    save(tmp_path / "voices" / "Anna" / "anna.wav", speech(6))
    (tmp_path / "voices" / "Otto").mkdir()
    own = ("--data-dir", str(tmp_path))
    status, output, errors = await run("voices", "list", "--uri", scripted, *own)
    assert status == 0
    assert "tone" in output
    lines = errors.splitlines()
    assert lines == [
        f"Anna: stored in {tmp_path}, but not available from the server at {scripted}",
        "Otto: there is no recording in it",
    ]
    status, output, errors = await run("voices", "--uri", "tcp://127.0.0.1:1", *own)
    assert (status, output) == (1, "")
    assert errors.splitlines()[0].startswith("Anna: stored in ")
    assert errors.splitlines()[-1].startswith("error: cannot connect to tcp://127.0.0.1:1")


async def test_a_voice_is_added_and_removed_without_a_server(tmp_path: Path) -> None:
    from tests.recordings import save, speech

    recording = save(tmp_path / "memo.wav", speech(6))
    where = ("--data-dir", str(tmp_path / "data"), "--uri", "tcp://127.0.0.1:1")
    status, _, errors = await run("voices", "add", "Anna", str(recording), *where)
    assert status == 0
    assert errors.splitlines() == [
        f"Anna is in {tmp_path / 'data'}, without a transcript",
        "no server answers at tcp://127.0.0.1:1: start one with a Base checkpoint and this --data-dir",
    ]
    status, _, errors = await run("voices", "add", "anna", str(recording), *where)
    assert (status, errors) == (1, "error: there is a voice 'Anna' already: choose another name\n")
    status, _, errors = await run("voices", "add", "Nova", str(recording), *where)
    assert status == 0
    assert errors.startswith(
        "note: Nova is one of OpenAI's voice names: clients that request it get this voice now\n"
    )
    status, _, errors = await run("voices", "remove", "anna", *where)
    assert (status, errors) == (0, "anna is removed, and everything computed from it\n")
    status, _, errors = await run("voices", "remove", "anna", *where)
    assert status == 1
    assert errors.startswith("error: there is no voice 'anna' in ")


@pytest.mark.parametrize(
    ("arguments", "status", "message"),
    [
        (("add", "Anna"), 2, "the following arguments are required: FILE"),
        (("sing",), 2, "there is no subcommand 'sing' of voices"),
        (
            ("add", "Anna", "a.wav", "--seed", "x"),
            2,
            "--seed: 'x' is not allowed; allowed: a whole number from 0 to ",
        ),
        (("design", "Anna", "x", "--max-batch-size", "9"), 2, "there is no option '--max-batch-size'"),
        (("design", "Anna", "x", "--device", "9"), 2, "error: --device: '9' is not allowed"),
        (("design", "Anna", " \n", "--model", "x"), 1, 'error: the description is empty: try "a warm'),
        (("design", "A/b", "x", "--model", "x"), 1, "error: a voice cannot be called 'A/b'"),
        (("design", "Ryan", "x", "--model", "x"), 1, "error: there is a voice 'Ryan' already"),
        (("design", "Anna", "x" * 1001, "--model", "x"), 1, "error: description is longer than 1000"),
        (("design", "Anna", "x", "--model", "x", "--language", "sw"), 1, "no sample text in sw"),
        (
            ("design", "Anna", "x", "--model", "x", "--data-dir", "/proc"),
            1,
            "error: /proc cannot be written to",
        ),
        (("add", "Anna", "/nowhere/a.wav"), 1, "error: a.wav"),
        (("test", "nobody", "--uri", "tcp://127.0.0.1:1"), 1, "error: cannot connect to tcp://127.0.0.1:1"),
    ],
)
async def test_a_wrong_command_is_one_sentence(
    arguments: tuple[str, ...], status: int, message: str, tmp_path: Path
) -> None:
    ended, output, errors = await run("voices", *arguments, env={"WYOMING_QWEN3TTS_DATA_DIR": str(tmp_path)})
    assert (ended, output) == (status, "")
    assert message in errors.splitlines()[-1]


async def test_a_voice_is_tried_by_a_name_however_it_is_written(scripted: str, tmp_path: Path) -> None:
    path = tmp_path / "tried.wav"
    status, _, errors = await run(
        "voices", "test", "KLANG_zwei", "--text", "Hallo.", "--uri", scripted, "--output", str(path)
    )
    assert status == 0, errors
    assert pcm(path) == tone("Hallo.")
    status, _, errors = await run(
        "voices", "test", "Nova", "--text", "Hello.", "--uri", scripted, "--output", str(path)
    )
    assert status == 0, errors
    assert pcm(path) == tone("Hello."), "whom an alias of OpenAI's means is up to the server"
    status, _, errors = await run("voices", "test", "nobody", "--uri", scripted)
    assert status == 1
    assert errors == f"error: {scripted} has no voice 'nobody'; it has tone, Klang Zwei\n"
