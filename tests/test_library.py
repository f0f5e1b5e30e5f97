"""The voices in the data directory: what is one, what is said about the rest, and that nothing half is ever seen."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
import unicodedata
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.recordings import save, speech
from wyoming_qwen3tts.speech import CustomVoice, SpeechError
from wyoming_qwen3tts.voices import recording as recordings
from wyoming_qwen3tts.voices.details import Details, check_details, default_seed
from wyoming_qwen3tts.voices.names import InvalidNameError, check_name
from wyoming_qwen3tts.voices.prepared_recordings import STALE, StoreError
from wyoming_qwen3tts.voices.recording_error import InvalidRecordingError
from wyoming_qwen3tts.voices.store import CustomVoiceStore, VoiceNotFoundError
from wyoming_qwen3tts.voices.store_reader import StoreContents

SAID = "The washing machine has finished."


@pytest.fixture(scope="session")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six seconds of speech, as FLAC by another name."""
    return save(tmp_path_factory.mktemp("recordings") / "Memo 7.wav", speech(6))


@pytest.fixture(scope="session")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(tmp_path_factory.mktemp("recordings") / "another.mp3", speech(5.5, seed=9))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def library(data: Path) -> CustomVoiceStore:
    return CustomVoiceStore(data, reserved=["Ryan", "Uncle Fu"])


@pytest.fixture
def prepared(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The name of every recording that is prepared, in order."""
    names = []
    prepare = recordings.prepare

    def watched(path: Path, transcript: str = "") -> recordings.PreparedRecording:
        names.append(path.name)
        return prepare(path, transcript)

    monkeypatch.setattr(recordings, "prepare", watched)
    return names


def drop(data: Path, name: str, recording: Path, **texts: str | bytes) -> Path:
    """Put a voice there by hand; ``texts``: ``transcript`` and ``voice``."""
    home = data / "voices" / name
    home.mkdir(parents=True)
    shutil.copy(recording, home)
    for file, text in {"transcript.txt": "transcript", "voice.toml": "voice"}.items():
        if text in texts:
            content = texts[text]
            (home / file).write_bytes(content if isinstance(content, bytes) else content.encode())
    return home


def problems(library: CustomVoiceStore) -> dict[str, str]:
    found = library.read().problems
    assert all("\n" not in problem.message for problem in found)
    return {problem.name: problem.message for problem in found}


def tree(directory: Path) -> set[str]:
    return {str(path.relative_to(directory)) for path in directory.rglob("*")}


# Names


@pytest.mark.parametrize(
    "name", ["Anna", "Oma Käthe", "안나 2", "अनीता", "O'Neil", "l’été", "anna_2-b", "7", "é" * 50]
)
def test_names_that_a_voice_can_have(name: str) -> None:
    assert check_name(name) == unicodedata.normalize("NFC", name)
    assert check_name(unicodedata.normalize("NFD", name)) == unicodedata.normalize("NFC", name)


@pytest.mark.parametrize(
    "name",
    ["", " ", "..", "../Anna", "/etc/passwd", "a/b", "a\\b", "Anna.", ".anna", "-anna", "anna-", " anna", "anna ", "__",
     "an\nna", "an\0na", "Anna (calm)", "Anna · calm", "a" * 51, "a" * 10**6, "\ud800", "an\u200bna", "C:", "~root", "%2e"],
)  # fmt: skip
def test_names_that_no_voice_can_have(library: CustomVoiceStore, recording: Path, name: str) -> None:
    with pytest.raises(
        InvalidNameError, match="a name has 1 to 50 letters, digits, spaces, hyphens"
    ) as caught:
        check_name(name)
    assert caught.value.code == "bad-name"
    assert str(caught.value).isprintable()
    with pytest.raises(InvalidNameError):
        library.add(name, recording)
    with pytest.raises(VoiceNotFoundError):
        library.remove(name)


@pytest.mark.parametrize("name", ["espeak", "eSpeak NG", "espeak-de", "E-speak 2"])
def test_espeak_s_names_are_its_own(name: str) -> None:
    with pytest.raises(InvalidNameError, match="names that begin with espeak are reserved for its voices"):
        check_name(name)


@given(st.text(max_size=60) | st.text("./\\a -\0\u0301", max_size=8))
def test_any_name_is_bad_or_inside(name: str) -> None:
    voices = Path("/data/voices")
    try:
        name = check_name(name)
    except InvalidNameError:
        return
    assert (voices / name).resolve().parent == voices
    assert len(name.encode()) < 255
    assert name.isprintable()


# Reading


def test_no_directory_is_no_problem(data: Path, library: CustomVoiceStore) -> None:
    assert library.read() == StoreContents((), ())
    assert not data.exists(), "nothing is made by looking"


def test_a_voice_is_a_directory_with_a_recording(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    drop(data, "Anna", recording)
    (anna,) = library.read().voices
    assert anna == CustomVoice("Anna", anna.reference, None, "", anna.seed, "", "", ())
    assert anna.reference.path == data / "references" / f"{anna.reference.digest}.wav"
    assert anna.reference.transcript == ""
    with wave.open(str(anna.reference.path)) as sound:
        assert sound.getparams()[:4] == (1, 2, 24_000, sound.getnframes())
        samples = sound.readframes(sound.getnframes())
    assert samples == recordings.prepare(recording).samples.tobytes()
    assert stat.S_IMODE(anna.reference.path.stat().st_mode) == 0o600


def test_what_stands_beside_it(data: Path, library: CustomVoiceStore, recording: Path, another: Path) -> None:
    toml = '\ufeffdescription = " My\\tsister "\nlanguage = "pt-BR"\nseed = 4294967295\nmodel = "small"\ndesigned = "A calm voice."\n'
    drop(data, "Zoë", recording, transcript=f"\ufeff{SAID}\r\n", voice=toml)
    drop(data, unicodedata.normalize("NFD", "Bärbel"), another)
    (data / "voices" / "Zoë" / "@eaDir").mkdir()
    (data / "voices" / "Zoë" / "Thumbs.db").touch()
    (data / "voices" / "Zoë" / ".DS_Store").touch()
    (data / "voices" / ".stfolder").mkdir()
    (data / "voices" / ".hidden").touch()
    contents = library.read()
    assert contents.problems == ()
    assert [voice.name for voice in contents.voices] == ["Bärbel", "Zoë"]
    zoe = contents.voices[1]
    assert zoe == CustomVoice(
        "Zoë", zoe.reference, "pt-BR", "My sister", 2**32 - 1, "small", "A calm voice.", ()
    )
    assert zoe.reference.transcript == SAID


def test_a_voice_has_a_seed_of_its_own(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path
) -> None:
    drop(data, "Anna", recording)
    drop(data, "Bert", another)
    anna, bert = (voice.seed for voice in library.read().voices)
    assert anna == default_seed("Anna")
    assert (anna, bert) == (1_604_839_019, bert), "the same on every machine, for ever"
    assert anna != bert
    assert 0 <= bert < 2**31


def test_what_has_not_changed_is_not_prepared_again(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path, prepared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    home = drop(data, "Anna", recording, transcript=SAID)
    drop(data, "Bert", save(data.parent / "long.flac", speech(6, 6, 6)), transcript=SAID)
    first, signature = library.read(), library.signature()
    assert len(prepared) == 2
    assert [voice.reference.transcript for voice in first.voices] == [SAID, ""]
    assert "Its transcript is not used" in first.voices[1].notes[-1]
    assert CustomVoiceStore(data).read() == first, "nor by another process"
    with monkeypatch.context() as patch:
        patch.delattr(recordings, "fingerprint")
        assert library.read() == first, "nor even opened by the same one"
    assert library.signature() == signature
    assert len(prepared) == 2
    (home / "transcript.txt").write_text(f"{SAID} Really.", "utf-8")
    assert library.signature() != signature
    second = library.read()
    assert len(prepared) == 3
    assert second.voices[0].reference.digest != first.voices[0].reference.digest
    assert second.voices[1] == first.voices[1]
    assert not first.voices[0].reference.path.exists(), "what nobody needs any more is gone"


def test_a_prepared_recording_that_vanishes_is_made_again(
    data: Path, library: CustomVoiceStore, recording: Path, prepared: list[str]
) -> None:
    drop(data, "Anna", recording)
    (anna,) = library.read().voices
    for spoil in (
        anna.reference.path.unlink,
        lambda: anna.reference.path.with_suffix(".json").write_text("{"),
    ):
        spoil()
        assert CustomVoiceStore(data).read().voices == (anna,)
        seen = library.signature()
        anna.reference.path.unlink()
        assert library.signature() != seen
        assert library.read().voices == (anna,)
        assert library.signature() == seen
    assert len(prepared) == 5


def test_a_voice_that_goes_is_gone_and_comes_back(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    home = drop(data, "Anna", recording)
    (anna,) = library.read().voices
    signatures = [library.signature()]
    (home / recording.name).unlink()
    assert problems(library) == {"Anna": "there is no recording in it"}
    signatures.append(library.signature())
    shutil.rmtree(home)
    assert library.read() == StoreContents((), ())
    assert tree(data / "references") == set(), "a voice is personal"
    signatures.append(library.signature())
    drop(data, "Anna", recording)
    assert library.read().voices == (anna,)
    signatures.append(library.signature())
    assert len(set(signatures)) == 4


def test_a_recording_that_is_still_being_copied(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    home = drop(data, "Anna", save(data.parent / "voice.wav", speech(6), format="WAV"))
    content = (home / "voice.wav").read_bytes()
    for half in (0, 5, 30_000):
        (home / "voice.wav").write_bytes(content[:half])
        assert "Anna" in problems(library)
    (home / "voice.wav").write_bytes(content)
    assert [voice.name for voice in library.read().voices] == ["Anna"]


def test_a_recording_that_changes_while_it_is_read(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = drop(data, "Anna", recording)
    prepare = recordings.prepare

    def meddle(path: Path, transcript: str) -> recordings.PreparedRecording:
        found = prepare(path, transcript)
        shutil.copy(another, path)
        return found

    with monkeypatch.context() as patch:
        patch.setattr(recordings, "prepare", meddle)
        assert problems(library) == {"Anna": "it is being changed, and is read again when that is done"}
    for content in (another, recording):
        shutil.copy(content, home / recording.name)
        (anna,) = library.read().voices
        with wave.open(str(anna.reference.path)) as sound:
            assert sound.readframes(10**7) == prepare(content).samples.tobytes()


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"voice": "sex = 'f'"}, "voice.toml: there is no key 'sex', only description, designed, language, model, seed"),
        ({"voice": "seed = '1'"}, "voice.toml: seed is not a whole number from 0 to 4294967295"),
        ({"voice": "seed = -1"}, "voice.toml: seed is not a whole number from 0 to 4294967295"),
        ({"voice": "seed = true"}, "voice.toml: seed is not a whole number from 0 to 4294967295"),
        ({"voice": "seed = 4294967296"}, "voice.toml: seed is not a whole number from 0 to 4294967295"),
        ({"voice": "description = 5"}, "voice.toml: description is not a text in quotes"),
        ({"voice": "designed = 'é" + "x" * 1000 + "'"}, "voice.toml: designed is longer than 1000 characters"),
        ({"voice": "language = 'German, mostly'"}, "voice.toml: language is not a code such as de or pt-BR: 'German, mostly'"),
        ({"voice": "language de"}, "voice.toml is not TOML: Expected '=' after a key"),
        ({"voice": "seed = " + "[" * 9999}, "voice.toml is not TOML: "),
        ({"voice": b"\xff\xfe"}, "voice.toml is not UTF-8: save it as UTF-8"),
        ({"voice": "#" * 70_000}, "voice.toml has more than 65,536 bytes"),
        ({"transcript": b"\xff\xfe"}, "transcript.txt is not UTF-8: save it as UTF-8"),
        ({"transcript": "a " * 600}, "the transcript of Memo 7.wav has 1,199 characters, and at most 1,000"),
        ({"transcript": "No."}, "Memo 7.wav is 6 s long and its transcript has 3 characters, which do not fit"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_voice_is_said_and_the_others_speak(
    data: Path,
    library: CustomVoiceStore,
    recording: Path,
    another: Path,
    texts: dict[str, str | bytes],
    message: str,
) -> None:
    drop(data, "Anna", recording, **texts)
    drop(data, "Bert", another)
    for _ in range(2):
        contents = library.read()
        assert [voice.name for voice in contents.voices] == ["Bert"]
        assert [problem.name for problem in contents.problems] == ["Anna"]
        assert contents.problems[0].message.startswith(message)


def test_what_is_no_voice(data: Path, library: CustomVoiceStore, recording: Path, another: Path) -> None:
    voices = data / "voices"
    drop(data, "Two", recording)
    shutil.copy(another, voices / "Two" / "another.mp3")
    drop(data, "Linked recording", recording)
    (voices / "Linked recording" / recording.name).unlink()
    (voices / "Linked recording" / "voice.wav").symlink_to(recording)
    (voices / "Linked").symlink_to(recording.parent)
    (voices / "Empty").mkdir()
    (voices / "Pipe").mkdir()
    os.mkfifo(voices / "Pipe" / "voice.wav")
    drop(data, "Piped transcript", recording)
    os.mkfifo(voices / "Piped transcript" / "transcript.txt")
    shutil.copy(recording, voices / "dropped.wav")
    drop(data, "Anna (calm)", recording)
    drop(data, "uncle-fu", recording)
    drop(data, os.fsdecode(b"\xff\xfe"), recording)
    found = problems(library)
    assert library.read().voices == ()
    assert found.pop("Anna (calm)").startswith("a voice cannot be called 'Anna (calm)': a name has 1 to 50")
    assert found.pop("\ufffd\ufffd").startswith("a voice cannot be called")
    assert found == {
        "Two": "there are several recordings in it: Memo 7.wav, another.mp3; leave one",
        "Linked recording": "voice.wav is a link: put the file itself there",
        "Linked": "it is a link: put the directory itself there",
        "Empty": "there is no recording in it",
        "Pipe": "voice.wav is not a regular file: use a recording, as WAV, FLAC, MP3, Ogg or AIFF",
        "Piped transcript": "transcript.txt is not a regular file",
        "dropped.wav": "it is a file: a voice is a directory with its recording in it",
        "uncle-fu": "another voice is called Uncle Fu: give this one another name",
    }


def test_what_people_keep_beside_a_recording_is_none(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    home = drop(data, "Anna", recording, transcript=SAID)
    for name in ("notes.txt", "README.md", "tags.JSON", "consent.pdf", "Memo 7.srt"):
        (home / name).write_text("about it")
    (anna,) = library.read().voices
    assert anna.reference.transcript == SAID
    (home / "transcript.txt").rename(home / "Transcript.TXT")
    assert problems(library) == {"Anna": "Transcript.TXT is not read: rename it to transcript.txt"}


def test_of_two_with_one_name_the_first_speaks(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path
) -> None:
    for name in ("oma käthe", "Oma Käthe", "Oma-Käthe"):
        drop(data, name, recording if name == "Oma Käthe" else another)
    assert [voice.name for voice in library.read().voices] == ["Oma Käthe"]
    message = "another directory is called Oma Käthe: give this one another name"
    assert problems(library) == {"Oma-Käthe": message, "oma käthe": message}
    shutil.rmtree(data / "voices" / "Oma Käthe")
    assert [voice.name for voice in library.read().voices] == ["Oma-Käthe"]


def test_what_cannot_be_read_is_tried_again(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(data, "Anna", recording)
    drop(data, "Bert", another)
    scandir = os.scandir

    def forbidden(path: Path) -> object:
        if path.name == "Anna":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", forbidden)
        assert problems(library) == {"Anna": "it cannot be read: Permission denied"}
        assert [voice.name for voice in library.read().voices] == ["Bert"]
        before = library.signature()
    assert library.signature() != before
    assert len(library.read().voices) == 2
    (data / "voices").rename(data / "elsewhere")
    (data / "voices").touch()
    assert problems(library) == {"voices": f"{data / 'voices'} cannot be read: Not a directory"}
    assert len(tree(data / "references")) == 4, "what cannot be read may come back"


def test_a_prepared_recording_that_cannot_be_looked_at_is_made_again(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path, prepared: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    drop(data, "Anna", recording)
    drop(data, "Bert", another)
    anna, bert = library.read().voices
    before = library.signature()
    status = Path.stat

    def forbidden(path: Path, *how: Any, **more: Any) -> os.stat_result:
        if path == anna.reference.path:
            raise PermissionError(13, "Permission denied", str(path))
        return status(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "stat", forbidden)
        assert library.signature() != before
        assert library.read().voices == (anna, bert)
    access = os.access
    with monkeypatch.context() as patch:
        patch.setattr(os, "access", lambda path, mode: path != anna.reference.path and access(path, mode))
        assert library.signature() != before, "it is there, and not for us"
        assert library.read().voices == (anna, bert)
    assert prepared == [recording.name, another.name, recording.name, recording.name]
    assert library.signature() == before


def test_where_the_voices_cannot_be_read_none_is_removed_and_that_is_said(
    data: Path, library: CustomVoiceStore, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add("Anna", recording)

    def forbidden(path: Path) -> object:
        raise PermissionError(13, "Permission denied", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", forbidden)
        for attempt in (library.remove, library.check_free):
            with pytest.raises(StoreError, match=f"^{data / 'voices'} cannot be read: Permission denied$"):
                attempt("Anna")
    library.remove("Anna")


def test_where_nothing_can_be_written_that_is_said(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    drop(data, "Anna", recording)
    (data / "references").touch()
    before = library.signature()
    assert problems(library) == {"Anna": f"{data / 'references'} cannot be written to: File exists"}
    assert library.signature() != before, "it is worth another try"
    (data / "references").unlink()
    assert len(library.read().voices) == 1
    assert library.signature() == before


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOSPC])
def test_where_references_cannot_be_written_a_voice_speaks_all_the_same(
    data: Path,
    library: CustomVoiceStore,
    recording: Path,
    another: Path,
    prepared: list[str],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    number: int,
) -> None:
    home = drop(data, "Anna", recording)
    drop(data, "Bert", another)
    mkstemp = tempfile.mkstemp

    def read_only(suffix: str, prefix: str, directory: Path) -> tuple[int, str]:
        if directory.is_relative_to(data):
            raise OSError(number, os.strerror(number))
        return mkstemp(suffix, prefix, directory)

    monkeypatch.setattr(tempfile, "mkstemp", read_only)
    contents = library.read()
    assert contents.problems == ()
    anna, bert = contents.voices
    place = anna.reference.path.parent
    assert place == bert.reference.path.parent
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    assert library.read() == contents
    assert prepared == [recording.name, another.name]
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == (
        "voices: recordings are prepared again after every restart "
        f'reason="{data / "references"} cannot be written to: {os.strerror(number)}"'
    )
    with pytest.raises(StoreError, match="nothing was stored"):
        library.add("Cleo", recording, transcript=SAID)
    shutil.rmtree(place)
    anna, bert = library.read().voices
    place = bert.reference.path.parent
    assert anna.reference.path.exists(), "whoever tidies up temporary files ends no voice"
    shutil.rmtree(home)
    assert library.read().voices == (bert,)
    assert {path.stem for path in place.iterdir()} == {bert.reference.digest}, "a voice is personal"
    monkeypatch.setattr(tempfile, "tempdir", str(data / "none"))
    assert problems(CustomVoiceStore(data))["Bert"].startswith(
        f"{data / 'references'} cannot be written to: "
    )


def test_what_is_made_for_one_process_ends_with_it(tmp_path: Path, data: Path, recording: Path) -> None:
    drop(data, "Anna", recording)
    code = (
        "import sys, tempfile\nfrom pathlib import Path\nfrom wyoming_qwen3tts.voices.store import CustomVoiceStore\n"
        "make = tempfile.mkstemp\n"
        "def read_only(suffix, prefix, directory):\n"
        "    if directory.name == 'references': raise OSError(30, 'Read-only file system')\n"
        "    return make(suffix, prefix, directory)\n"
        "tempfile.mkstemp = read_only\n"
        "library = CustomVoiceStore(Path(sys.argv[1]))\n"
        "assert library.read().voices[0].reference.path.is_relative_to(sys.argv[2])"
    )
    place = tmp_path / "temporary"
    place.mkdir()
    environment = {**os.environ, "TMPDIR": str(place)}
    subprocess.run([sys.executable, "-c", code, data, place], check=True, env=environment)
    assert tree(place) == set()


def test_a_failure_to_open_is_not_held_against_a_recording(
    data: Path, library: CustomVoiceStore, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(data, "Anna", recording)

    opened = os.open

    def fail(path: str | Path, *how: Any, **more: Any) -> int:
        if Path(path).name == recording.name:
            raise OSError(24, "Too many open files")
        return opened(path, *how, **more)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", fail)
        assert problems(library) == {"Anna": "Memo 7.wav cannot be read: Too many open files"}
    assert len(library.read().voices) == 1


# Adding


def test_a_voice_that_is_added_is_there(
    data: Path, library: CustomVoiceStore, recording: Path, prepared: list[str]
) -> None:
    steps: list[str] = []
    added = library.add(
        "Oma Käthe", recording, transcript=f" {SAID}\n", language="de", description='Says "hello" \\ and\nmore',
        seed=0, model="small", designed="An old voice.", progress=steps.append,
    )  # fmt: skip
    assert steps == ["checking the name", "preparing the recording", "writing the voice"]
    home = data / "voices" / "Oma Käthe"
    assert tree(home) == {"recording.flac", "transcript.txt", "voice.toml"}
    assert (home / "recording.flac").read_bytes() == recording.read_bytes()
    assert stat.S_IMODE(home.stat().st_mode) == 0o700
    assert added == CustomVoice(
        "Oma Käthe", added.reference, "de", 'Says "hello" \\ and more', 0, "small", "An old voice.", ()
    )
    assert added.reference.transcript == SAID
    assert library.read().voices == CustomVoiceStore(data).read().voices == (added,)
    assert prepared == [recording.name], "once is enough"
    assert tree(data / "voices") == {"Oma Käthe", *(f"Oma Käthe/{name}" for name in tree(home))}


def test_little_need_be_said_of_a_voice(data: Path, library: CustomVoiceStore, recording: Path) -> None:
    added = library.add("Anna", recording)
    assert tree(data / "voices" / "Anna") == {"recording.flac"}
    assert library.read().voices == (added,)


@pytest.mark.parametrize("name", ["Anna", "anna", "ANNA ", "An-na", "A_n_n_a", "ryan", "Uncle-Fu", "Empty"])
def test_a_name_is_given_once(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path, name: str
) -> None:
    library.add("Anna", recording)
    (data / "voices" / "Empty").mkdir()
    before = tree(data)
    assert library.check_free("Cleo") == "Cleo"
    with pytest.raises(InvalidNameError) as caught:
        library.add(name.strip(), another)
    assert caught.value.code == "duplicate-name"
    assert str(caught.value).endswith("already: choose another name")
    assert tree(data) == before


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "../Anna"}, "bad-name"),
        ({"recording": Path("/bin/true")}, "bad-recording"),
        ({"recording": Path("/etc/hostname/none")}, "bad-recording"),
        ({"transcript": "a" * 2000}, "bad-recording"),
        ({"transcript": "No."}, "bad-recording"),
        ({"language": "German, mostly"}, "bad-voice"),
        ({"seed": -1}, "bad-voice"),
        ({"description": "long " * 500}, "bad-voice"),
    ],
)
def test_what_is_wrong_is_found_before_anything_is_written(
    data: Path, library: CustomVoiceStore, recording: Path, change: dict[str, object], code: str
) -> None:
    given: dict[str, object] = {"name": "Anna", "recording": recording, **change}
    with pytest.raises(SpeechError) as caught:
        library.add(**given)  # type: ignore[arg-type]
    assert caught.value.code == code
    assert not data.exists()


def test_a_recording_that_changes_while_it_is_added(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path
) -> None:
    memo = Path(shutil.copy(recording, data.parent / "memo.wav"))

    def meddle(step: str) -> None:
        if step.startswith("writing"):
            shutil.copy(another, memo)

    with pytest.raises(InvalidRecordingError, match=r"memo\.wav was changed while it was read: try again"):
        library.add("Anna", memo, progress=meddle)
    assert not data.exists()


@pytest.mark.parametrize("fails", ["copyfile", "fsync", "rename", "mkstemp", "mkdtemp"])
def test_a_voice_is_there_whole_or_not_at_all(
    data: Path, library: CustomVoiceStore, recording: Path, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    library.add("Bert", recording)
    shutil.rmtree(data / "voices" / "Bert")
    (data / "voices" / "Keep").mkdir()
    before = tree(data)

    def fail(*_: object, **__: object) -> None:
        assert not (data / "voices" / "Anna").exists(), "never seen half"
        raise OSError(28, "No space left on device")

    owner: object = {"copyfile": shutil, "fsync": os, "rename": Path}.get(fails, tempfile)
    with monkeypatch.context() as patch:
        patch.setattr(owner, fails, fail)
        with pytest.raises(StoreError) as caught:
            library.add("Anna", recording, transcript=SAID)
    assert caught.value.code == "data-directory"
    assert (
        str(caught.value) == f"{data} cannot be written to, and nothing was stored: No space left on device"
    )
    assert tree(data) == before


@pytest.mark.parametrize("same", [True, False])
def test_of_two_that_are_added_at_once_the_second_is_refused_by_its_name(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:  # fmt: skip
    mkdtemp = tempfile.mkdtemp
    before: list[set[str]] = []

    def overtaken(*how: Any, **more: Any) -> Any:
        if not before:
            before.append(set())
            CustomVoiceStore(data).add("Same", recording)
            before[0] = tree(data)
        return mkdtemp(*how, **more)

    monkeypatch.setattr(tempfile, "mkdtemp", overtaken)
    with pytest.raises(
        InvalidNameError, match=r"^there is a voice 'Same' already: choose another name$"
    ) as caught:
        library.add("Same", recording if same else another)
    assert caught.value.code == "duplicate-name"
    assert tree(data) == before[0], "the other's is whole, and nothing is left of this one"


def test_whether_a_voice_could_be_written(data: Path, library: CustomVoiceStore, recording: Path) -> None:
    library.check_writable()
    assert not data.exists()
    library.add("Anna", recording)
    before = tree(data)
    library.check_writable()
    assert tree(data) == before
    shutil.rmtree(data)
    data.touch()
    with pytest.raises(StoreError, match=f"^{data} cannot be written to: "):
        library.check_writable()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 200 kB, of which the recording and what is made of it need more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=200k", "none", str(disk)]
    if os.getuid() != 0 or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("only root may mount a disk")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk(small_disk: Path, recording: Path, another: Path) -> None:
    library = CustomVoiceStore(small_disk)
    with pytest.raises(StoreError, match="nothing was stored: No space left on device"):
        library.add("Anna", recording, transcript=SAID)
    assert tree(small_disk) == set()
    drop(small_disk, "Bert", another)
    (bert,) = library.read().voices
    assert not bert.reference.path.is_relative_to(small_disk)
    assert tree(small_disk / "references") == set()
    library.remove("Bert")
    assert tree(small_disk) == {"voices", "references"}


def test_a_file_that_may_not_grow(data: Path, recording: Path) -> None:
    """As a full disk, for whoever may not mount one."""
    code = (
        "import resource, sys\nfrom pathlib import Path\nfrom wyoming_qwen3tts.voices.store import CustomVoiceStore\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))\n"
        "try: CustomVoiceStore(Path(sys.argv[1])).add('Anna', Path(sys.argv[2]))\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    said = subprocess.run(
        [sys.executable, "-c", code, data, recording], capture_output=True, text=True, check=True
    )
    assert (
        said.stdout.strip()
        == f"StoreError {data} cannot be written to, and nothing was stored: File too large"
    )
    assert tree(data) == set()


# Removing


def test_nothing_stays_of_a_voice_that_is_removed(
    data: Path, library: CustomVoiceStore, recording: Path, another: Path
) -> None:
    anna = library.add("Anna", recording, transcript=SAID)
    library.add("Bert", another)
    kept = tree(data) - {path for path in tree(data) if "Anna" in path or anna.reference.digest in path}
    (data / "prompts").mkdir()
    (data / "prompts" / f"{anna.reference.digest}-1.7b.safetensors").touch()
    (data / "prompts" / f"{'0' * 64}-1.7b.safetensors").touch()
    CustomVoiceStore(data).remove("anna")
    assert tree(data) == kept | {"prompts", f"prompts/{'0' * 64}-1.7b.safetensors"}
    assert [voice.name for voice in library.read().voices] == ["Bert"]
    assert not list((data / "prompts").iterdir()), "nor of one that somebody deleted by hand"


def test_what_another_voice_needs_stays(data: Path, library: CustomVoiceStore, recording: Path) -> None:
    anna, bert = library.add("Anna", recording), library.add("Bert", recording)
    assert anna.reference == bert.reference
    library.remove("Anna")
    assert bert.reference.path.exists()
    library.remove("Bert")
    assert tree(data) == {"voices", "references"}


def test_a_voice_with_a_problem_can_be_removed(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    drop(data, "Anna", recording, transcript=SAID)
    assert len(library.read().voices) == 1
    (data / "voices" / "Anna" / "voice.toml").write_text("?")
    (data / "voices" / "Anna" / "elsewhere").symlink_to(recording.parent)
    CustomVoiceStore(data).remove("Anna")
    assert tree(data) == {"voices", "references"}
    assert recording.exists(), "no link is followed"


def test_of_two_with_one_name_the_one_that_was_named_goes(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    for name in ("Anna", "an-na", "anna"):
        drop(data, name, recording)
    for name, left in (("anna", {"Anna", "an-na"}), ("ANNA", {"an-na"})):
        library.remove(name)
        assert {path.name for path in (data / "voices").iterdir()} == left


@pytest.mark.parametrize(
    "name", ["Cleo", "../Anna", "Anna/", "Anna/../Anna", "", "Linked", "/etc", ".", ".hidden", "file"]
)
def test_only_a_voice_can_be_removed(
    data: Path, library: CustomVoiceStore, recording: Path, name: str
) -> None:
    library.add("Anna", recording)
    (data / "voices" / "Linked").symlink_to(recording.parent)
    (data / "voices" / ".hidden").mkdir()
    (data / "voices" / "file").touch()
    before = tree(data)
    with pytest.raises(VoiceNotFoundError, match=f"in {data / 'voices'}; it has Anna$") as caught:
        library.remove(name)
    assert caught.value.code == "unknown-voice"
    assert tree(data) == before


def test_of_no_voices_none_can_be_removed(data: Path, library: CustomVoiceStore) -> None:
    with pytest.raises(VoiceNotFoundError, match=r"there is no voice 'Anna' in .*; it has none$"):
        library.remove("Anna")


def test_what_cannot_be_deleted_is_said_and_is_no_voice(
    data: Path, library: CustomVoiceStore, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    library.add("Anna", recording)

    def fail(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", fail)
        with pytest.raises(StoreError, match="Anna cannot be deleted: Operation not permitted"):
            library.remove("Anna")
        assert len(library.read().voices) == 1
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", fail)
        with pytest.raises(StoreError, match="Anna cannot be deleted: Operation not permitted"):
            library.remove("Anna")
    assert library.read() == StoreContents((), ())


def test_what_a_killed_process_left_goes_after_a_day(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    library.add("Anna", recording)
    before = tree(data)
    digest = next((data / "references").glob("*.wav")).stem
    left = [data / "voices" / ".new-1", data / "voices" / ".gone-2", data / "references" / ".x.part"]
    left += [data / "prompts" / f".{digest}-model.safetensors.17.part", data / "prompts" / ".y.part"]
    for path in left[:2]:
        path.mkdir()
    (data / "prompts").mkdir()
    for path in left[2:]:
        path.touch()
    library.read()
    assert all(path.exists() for path in left), "it may be at work"
    for path in left:
        then = path.stat().st_mtime - STALE - 1
        os.utime(path, (then, then))
    library.read()
    assert tree(data) == before | {"prompts"}


def test_a_voice_can_be_added_while_another_process_reads_the_store(
    data: Path, library: CustomVoiceStore, recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace
    reading = threading.Lock()

    def read_before(part: Path, target: Path) -> Path:
        if reading.acquire(blocking=False):  # a read may write files itself
            CustomVoiceStore(data).read()
            reading.release()
        return replace(part, target)

    monkeypatch.setattr(Path, "replace", read_before)
    assert library.add("Anna", recording).name == "Anna"
    assert [voice.name for voice in CustomVoiceStore(data).read().voices] == ["Anna"]


def test_what_is_half_made_of_a_voice_goes_with_it(
    data: Path, library: CustomVoiceStore, recording: Path
) -> None:
    for remove in (library.remove, lambda name: shutil.rmtree(data / "voices" / name)):
        anna = library.add("Anna", recording)
        (data / "prompts").mkdir(exist_ok=True)
        part = data / "prompts" / f".{anna.reference.digest}-model.safetensors.17.part"
        part.touch()
        library.read()
        assert part.exists()
        remove("Anna")
        library.read()
        assert not part.exists()


@given(
    st.dictionaries(
        st.sampled_from(["language", "description", "seed", "model", "designed", "name"]),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.lists(st.integers()),
    )
)
def test_any_details_are_fit_or_refused(values: dict[str, object]) -> None:
    found: object = None
    try:
        found = check_details(values)
    except SpeechError as error:
        found = error
    if isinstance(found, Details):
        assert all(text.isprintable() for text in (found.description, found.model, found.designed))
    else:
        assert isinstance(found, SpeechError)
        assert found.code == "bad-voice"
        assert "\n" not in str(found)
