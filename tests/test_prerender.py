"""``prerender`` and ``cache``: phrases stored before they are asked for, and what is kept, as processes."""

from __future__ import annotations

import asyncio
import csv
import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import pytest

from tests.house import HANG, connect, home_assistant_plain, service, tone
from tests.test_commands import NO_SERVER, need_no_default_server, pcm, run
from tests.test_said_before import KEPT, Repeatable
from wyoming_qwen3tts import cli
from wyoming_qwen3tts.cache.sqlite import FILE_NAME
from wyoming_qwen3tts.engines.base import TruncatedAudioError, UnsupportedTextError
from wyoming_qwen3tts.speech import Utterance


def kept(data: Path) -> dict[str, tuple[str, int]]:
    """Return what is in the file: text → voice, pinned."""
    database = sqlite3.connect(data / FILE_NAME)
    rows = database.execute("SELECT text, voice, pinned FROM entries").fetchall()
    database.close()
    return {text: (voice, pinned) for text, voice, pinned in rows}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "phrases.txt"
    path.write_text("# Doors\nThe {front,back} door is open.\nIt is open. It is shut.\n")
    return path


async def test_a_running_server_stores_the_phrases(tmp_path: Path, file: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path / "data", **KEPT) as uri:
        for _ in range(2):  # given again, nothing is made again
            status, output, errors = await run("prerender", str(file), "--uri", uri, "--voice", "klang zwei")
            assert (status, errors) == (0, "")
            assert output.startswith("3 of 3 phrases are stored: 1 s of audio in ")
        sentences = ["The front door is open.", "The back door is open.", "It is open.", "It is shut."]
        assert kept(tmp_path / "data") == dict.fromkeys(sentences, ("Klang Zwei", 1))
        assert sorted(engine.said) == sorted(sentences)
        async with connect(uri) as client:
            voice = {"name": "Klang Zwei"}
            assert await home_assistant_plain(client, sentences[0], voice) == tone(sentences[0])
        assert len(engine.said) == 4


async def test_a_table_has_voices_and_others_get_those_of_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    path.write_text("text,voice\nHallo Welt.,Klang Zwei\nHi there.,\n")
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        arguments = (
            "--uri",
            uri,
            "--voice",
            "tone",
            "--voice",
            "Klang Zwei",
            "--jobs",
            "1",
            "--language",
            "en",
        )
        status, output, _ = await run("prerender", str(path), *arguments)
    assert (status, output.partition(":")[0]) == (0, "3 of 3 phrases are stored")
    assert [(u.voice.name, u.text) for u in engine.told] == [
        ("Klang Zwei", "Hallo Welt."),
        ("tone", "Hi there."),
        ("Klang Zwei", "Hi there."),
    ]


async def test_where_no_server_answers_the_command_does_the_work(tmp_path: Path, file: Path) -> None:
    need_no_default_server()
    data = {"WYOMING_QWEN3TTS_DATA_DIR": str(tmp_path / "data"), "WYOMING_QWEN3TTS_ESPEAK_LANGUAGES": "none"}
    status, output, errors = await run("prerender", str(file), env=data)
    assert (status, output.partition(":")[0]) == (0, "3 of 3 phrases are stored")
    assert errors.startswith(NO_SERVER)
    assert kept(tmp_path / "data") == dict.fromkeys(
        ["The front door is open.", "The back door is open.", "It is open.", "It is shut."], ("heart", 1)
    )
    status, output, _ = await run("cache", "stats", "--json", env=data)
    counted = json.loads(output)["disk"]["counted"]["disk"]
    assert (status, counted["misses"], counted["hits"]) == (0, 4, 0)


async def test_an_option_of_the_server_s_means_this_process(tmp_path: Path, file: Path) -> None:
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        place = ("--data-dir", str(tmp_path / "other"), "--espeak-languages", "none")
        status, _, errors = await run("prerender", str(file), *place, env={"WYOMING_QWEN3TTS_URI": uri})
    assert (status, errors, engine.said) == (0, "", [])
    assert len(kept(tmp_path / "other")) == 4


async def test_what_a_voice_cannot_say_is_named_with_its_line_and_the_rest_is_stored(tmp_path: Path) -> None:
    async def picky(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if "unspeakable" in utterance.text:
            raise UnsupportedTextError("nobody can say that")
        yield tone(utterance.text)
        if "lost" in utterance.text:
            raise TruncatedAudioError("it lost itself")

    path = tmp_path / "phrases.txt"
    path.write_text("One.\nThis is unspeakable.\nTwo.\nHe is lost.\nThree.\n")
    async with service([Repeatable(picky)], data_dir=tmp_path, **KEPT) as uri:
        status, output, errors = await run("prerender", str(path), "--uri", uri, "--jobs", "1")
    assert status == 1
    assert output.startswith("3 of 5 phrases are stored")
    assert errors.splitlines() == [
        "line 2: 'This is unspeakable.': nobody can say that (cannot-speak)",
        "line 4: 'He is lost.': it lost itself (cut-short)",
    ]
    assert set(kept(tmp_path)) == {"One.", "Two.", "Three."}


async def test_a_server_that_says_nothing_right_is_given_up(tmp_path: Path) -> None:
    async def broken(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        raise UnsupportedTextError("not today")
        yield b""

    path = tmp_path / "phrases.txt"
    path.write_text("Number {1..100}.\n")
    engine = Repeatable(broken)
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        status, output, errors = await run("prerender", str(path), "--uri", uri, "--jobs", "1")
    assert (status, output) == (1, "")
    assert errors.splitlines() == [
        "0 of 100 phrases are stored; run the command again to continue",
        "error: line 1: not today (cannot-speak)",
    ]
    assert len(engine.said) == 5


SETTINGS: list[tuple[dict[str, Any], str]] = [
    ({"cache_memory": 1.0, "cache_disk": 0.0}, "nothing is kept outside of memory"),
    ({"cache_memory": 1.0, "cache_disk": 0.01}, "the cache's disk has no room"),
    ({**KEPT, "cache_exclude_voices": ("tone",)}, "the voice tone is excluded"),
]


@pytest.mark.parametrize(("settings", "reason"), SETTINGS)
async def test_where_nothing_can_be_kept_that_is_said_at_once(
    tmp_path: Path, settings: dict[str, Any], reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("This is a rather long sentence with number {1..100}.\n")
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **settings) as uri:
        arguments = ["prerender", str(path), "--uri", uri, "--jobs", "1", "--voice", "tone"]
        assert await asyncio.to_thread(cli.main, arguments) == 1
    assert reason in capsys.readouterr().err
    assert len(engine.said) < 10


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (["prerender", "{}/no-such.txt", "--uri", "tcp://127.0.0.1:1"], "No such file"),
        (
            ["prerender", "{}/wrong.csv", "--uri", "tcp://127.0.0.1:1"],
            "wrong.csv, line 2: the text is missing",
        ),
        (["prerender", "{}/good.txt", "--uri", "tcp://127.0.0.1:1"], "cannot connect to tcp://127.0.0.1:1"),
        (
            ["prerender", "{}/good.txt", "--jobs", "0"],
            "--jobs: '0' is not allowed; allowed: a whole number from 1 to 64",
        ),
        (["prerender", "{}/good.txt", "--cache-disk", "much"], "--cache-disk: 'much' is not allowed"),
        (
            ["cache", "stats", "--cache-redis", "http://h"],
            "--cache-redis: the given value (not shown: it may hold a password) is not allowed",
        ),
        (["cache", "export", "{}/good.txt"], "File exists"),
    ],
)
def test_what_is_wrong_is_named(
    tmp_path: Path, arguments: list[str], fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "good.txt").write_text("Hi.\n")
    (tmp_path / "wrong.csv").write_text("text,voice\n,Ryan\n")
    assert cli.main([each.format(tmp_path) for each in arguments]) in {1, 2}
    errors = capsys.readouterr().err
    assert errors.startswith("error: ")
    assert fault in errors


async def test_a_voice_that_nobody_has_is_an_error_and_nothing_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("text,voice\nHi.,tone\nHi.,Klangg\n")
    engine = Repeatable()
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        assert await asyncio.to_thread(cli.main, ["prerender", str(path), "--uri", uri]) == 1
    assert "line 3: the server has no voice 'Klangg'" in capsys.readouterr().err
    assert engine.said == []


async def test_all_wrong_names_are_told_at_once_and_where_they_stand(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "table.csv"
    path.write_text("Hi.,tone\nHello, everybody.\nHi.,,tlh\nHo.\n")
    engine = Repeatable()
    arguments = ["prerender", str(path), "--voice", "Nobody", "--language", "sw"]
    async with service([engine], data_dir=tmp_path, **KEPT) as uri:
        assert await asyncio.to_thread(cli.main, [*arguments, "--uri", uri]) == 1
    errors = capsys.readouterr().err.splitlines()
    assert [line.partition(":")[0] for line in errors[:2]] == ["--language", f"{path}, line 2"]
    assert "no voice of the server speaks 'sw'" in errors[0]
    assert "no voice 'everybody.'" in errors[1]
    assert any(line.startswith("--voice: the server has no voice 'Nobody'") for line in errors)
    assert any("line 3: no voice of the server speaks 'tlh'" in line for line in errors)
    assert "put a text with a comma in quotation marks" in errors[-1]
    assert engine.said == []


async def test_the_sound_of_all_jobs_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("This is number {1..30} of thirty.\n")
    async with service([Repeatable()], data_dir=tmp_path, normalize="off", **KEPT) as uri:
        for jobs in ("1", "8"):
            _, output, _ = await run("prerender", str(path), "--uri", uri, "--jobs", jobs)
            assert ": 17 s of audio in " in output


async def test_what_was_stored_before_it_was_stopped_is_not_made_again(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("Number {1..40}.\n")
    go = asyncio.Event()

    async def slowly(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        if utterance.text == "Number 20.":
            await go.wait()
        yield tone(utterance.text)

    engine = Repeatable(slowly)
    async with service([engine], data_dir=tmp_path, normalize="off", **KEPT) as uri:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wyoming_qwen3tts", "prerender", str(path), "--uri", uri, "--jobs", "1"),
            stderr=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(HANG):
            while len(engine.said) < 20:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
            process.send_signal(signal.SIGINT)
            _, errors = await process.communicate()
        assert (process.returncode, errors.decode()) == (
            130,
            "19 of 40 phrases are stored; run the command again to continue\n",
        )
        go.set()
        status, output, _ = await run("prerender", str(path), "--uri", uri, "--jobs", "3")
    assert (status, output.partition(":")[0]) == (0, "40 of 40 phrases are stored")
    numbers = [f"Number {n}." for n in range(1, 41)]
    assert sorted(engine.said) in (sorted(numbers), sorted([*numbers, "Number 20."]))


async def test_a_server_that_was_started_anew_is_gone_on_with(tmp_path: Path) -> None:
    path = tmp_path / "phrases.txt"
    path.write_text("Number {1..9}.\n")
    there = asyncio.Event()

    async def wait(utterance: Utterance) -> AsyncGenerator[bytes, None]:
        yield tone(utterance.text)
        if utterance.text == "Number 5.":
            there.set()
            await asyncio.sleep(HANG)

    settings = {"data_dir": tmp_path, "normalize": "off", "stop_timeout": 0.0, **KEPT}
    async with service([Repeatable(wait)], **settings) as uri:
        command = asyncio.create_task(run("prerender", str(path), "--uri", uri, "--jobs", "1"))
        await asyncio.wait_for(there.wait(), HANG)
    again = Repeatable()
    async with service([again], uri=(uri,), **settings):
        status, output, _ = await command
    if status == 1:  # it asked again before there was anybody to answer
        async with service([again], uri=(uri,), **settings):
            status, output, _ = await run("prerender", str(path), "--uri", uri)
    assert (status, output.partition(":")[0]) == (0, "9 of 9 phrases are stored")
    assert sorted(again.said) == [f"Number {n}." for n in range(5, 10)]


async def test_the_bar_is_for_a_terminal(tmp_path: Path, file: Path) -> None:
    main, other = os.openpty()
    async with service([Repeatable()], data_dir=tmp_path, **KEPT) as uri:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wyoming_qwen3tts", "prerender", str(file), "--uri", uri),
            stdout=asyncio.subprocess.PIPE,
            stderr=other,
        )
        await asyncio.wait_for(process.communicate(), HANG)
    os.close(other)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)
    assert "\rprerender: [##########--------------------]  33 %, " in shown
    assert "\rprerender: [##############################] 100 %, 0 s left" in shown
    assert shown.endswith("\r\033[K")


# -- cache --------------------------------------------------------------------------------------------------


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """A data directory in which two voices have said something."""
    async with service([Repeatable()], data_dir=tmp_path / "data", **KEPT) as uri, connect(uri) as client:
        await home_assistant_plain(client, "What's on? Who's there?", {"name": "tone"})
        await home_assistant_plain(client, "Wer ist da?", {"name": "Klang Zwei"})
        await home_assistant_plain(client, "Wer ist da?", {"name": "Klang Zwei"})
    return tmp_path / "data"


def command(*arguments: str) -> int:
    return cli.main(["cache", *arguments])


def test_stats_tell_what_is_kept_and_of_how_much_use_it_was(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place = ("--data-dir", str(data))
    assert command(*place) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"disk, {data / FILE_NAME}, at most 1,000.0 MB: 3 sentences, 0.0 MB; 0 pinned")
    assert [line.split()[:2] for line in lines[1:3]] == [["Klang", "Zwei"], ["tone", "2"]]
    assert lines[3] == "  counted by all servers that share this disk:"
    assert lines[4].split() == [
        "hits",
        "misses",
        "hit",
        "rate",
        "stored",
        "evicted",
        "damaged",
        "failures",
        "saved",
    ]
    assert lines[5].split()[:5] == ["memory", "1", "3", "25%", "3"]
    assert lines[6].split()[:5] == ["disk", "0", "3", "0%", "3"]
    assert command("stats", "--json", *place) == 0
    told = json.loads(capsys.readouterr().out)["disk"]
    assert (told["entries"], told["voices"]["tone"]["entries"]) == (3, 2)
    assert told["counted"]["memory"]["hits"] == 1


def test_of_an_empty_directory_stats_make_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert command("stats", "--data-dir", str(tmp_path / "none")) == 0
    assert "0 sentences" in capsys.readouterr().out
    assert not (tmp_path / "none").exists()


def test_export_writes_every_sentence_and_a_list(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert command("export", str(out), "--data-dir", str(data)) == 0
    assert capsys.readouterr().out == f"3 sentences in {out}, listed in index.csv\n"
    with (out / "index.csv").open(encoding="utf-8", newline="") as listed:
        rows = list(csv.DictReader(listed))
    assert [(row["text"], row["voice"], row["pinned"]) for row in rows] == [
        ("Wer ist da?", "Klang Zwei", "0"),
        ("What's on?", "tone", "0"),
        ("Who's there?", "tone", "0"),
    ]
    for row in rows:
        assert pcm(out / row["file"]) == tone(row["text"])
        assert float(row["seconds"]) == pytest.approx(len(tone(row["text"])) / 48_000, abs=0.01)
    assert {path.name for path in out.iterdir()} == {"index.csv", *(row["file"] for row in rows)}
    assert rows[1]["file"].startswith("What-s-on-")
    only = tmp_path / "only"
    assert command("export", str(only), "--data-dir", str(data), "--voice", "KLANG zwei") == 0
    assert len(list(only.iterdir())) == 2


def test_verify_drops_what_is_damaged(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = ("--data-dir", str(data))
    assert command("verify", *place) == 0
    assert capsys.readouterr().out == "disk: 3 sentences, none damaged\n"
    with sqlite3.connect(data / FILE_NAME) as database:
        database.execute(
            "UPDATE sounds SET data = zeroblob(99) WHERE key = (SELECT key FROM entries WHERE text = 'Wer ist da?')"
        )
    database.close()
    assert command("export", str(tmp_path / "out"), *place) == 1
    assert "1 sentence damaged and not exported" in capsys.readouterr().err
    assert command("verify", *place) == 1
    assert capsys.readouterr().out == "disk: 3 sentences, 1 damaged and deleted\n"
    assert command("verify", *place) == 0
    assert set(kept(data)) == {"What's on?", "Who's there?"}


def test_a_file_that_is_damaged_all_over_is_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (data / FILE_NAME).open("r+b") as file:
        file.seek(4096)
        file.write(b"\xa5" * ((data / FILE_NAME).stat().st_size - 4096))
    assert command("verify", "--data-dir", str(data)) == 1
    assert (
        "disk: 0 sentences, the file was damaged and renamed to cache.sqlite.damaged"
        in capsys.readouterr().out
    )


async def test_clear_drops_it_from_a_running_server_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("wyoming_qwen3tts.cache.cache.HOUSEKEEPING", 0.05)
    engine = Repeatable()

    async def cache(*arguments: str) -> tuple[int, str]:
        status = await asyncio.to_thread(command, *arguments, "--data-dir", str(tmp_path))
        return status, capsys.readouterr().out

    async with service([engine], data_dir=tmp_path, **KEPT) as uri, connect(uri) as client:
        for name in ("tone", "Klang Zwei"):
            await home_assistant_plain(client, "Hello.", {"name": name})
        assert len(kept(tmp_path)) == 1  # both say the same
        async with asyncio.timeout(HANG):
            # What is forgotten before the server has looked round for the first time is not noticed.
            while "memory" not in (await cache("stats"))[1]:
                pass
        assert await cache("clear", "--voice", "klang ZWEI") == (0, "disk: 1 sentence deleted\n")
        async with asyncio.timeout(HANG):
            while len(engine.said) == 2:
                await home_assistant_plain(client, "Hello.", {"name": "Klang Zwei"})
        await home_assistant_plain(client, "Hello.", {"name": "tone"})
        assert [utterance.voice.name for utterance in engine.told] == ["tone", "Klang Zwei", "Klang Zwei"]
        assert await cache("clear") == (0, "disk: 2 sentences deleted\n")
    assert kept(tmp_path) == {}
