"""A recording that a voice is cloned from: whether it will do, and what is made of it.

A clone is as good as its recording: it takes over noise, room and distortion with the voice. So a recording
is looked at before anything is built on it, what costs little first, and what is wrong is said in a sentence
for a person. What can be put right is put right: rate, channels, offset, level, silence, length.
"""

from __future__ import annotations

import hashlib
import io
import math
import os
import stat
import unicodedata
import wave
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ..audio.loudness import SILENCE, Meter
from ..audio.pcm import FRAME, from_db, power, silence, to_pcm, to_samples
from ..audio.trim import Fade
from ..speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH, SpeechError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from soundfile import SoundFile

    from ..audio.pcm import Samples

    Sound = NDArray[np.float32]
    """Full scale is 1; [samples] at SAMPLE_RATE, or [frames, channels] at any rate."""

VERSION = 1
"""Of the preparation: another number where the same recording would give other samples."""
FORMATS = {
    "WAV": "wav",
    "WAVEX": "wav",
    "RF64": "wav",
    "W64": "w64",
    "AIFF": "aiff",
    "AU": "au",
    "CAF": "caf",
    "FLAC": "flac",
    "OGG": "ogg",
    "MP3": "mp3",
}
"""What is read, by libsndfile's name, and its extension. libsndfile knows more, most of it of samplers."""
LARGEST = 100_000_000
"""Bytes of a recording: about ten minutes of a CD."""
SLOWEST_RATE, FASTEST_RATE = 16_000, 192_000
"""Samples a second: below is telephone, without the sounds over 4 kHz that tell voices and consonants apart,
and above is no recorder."""
LONGEST = 600.0
"""Seconds of a recording that anybody means as one: what is longer is music or a book."""
SHORTEST, SHORT = 3.0, 5.0
"""Seconds of sound: the least that Qwen3-TTS promises to clone from, and the least without a remark."""
LONGEST_PART = 15.0
"""Seconds that are used: all of it comes before every sentence, and more of it makes the voice no better."""
LEVEL = -20.0
"""dBFS of speech that is prepared, the settings' own for every voice: a clone is as loud as its example."""
PEAK = 0.89
"""Of full scale (-1 dB): no sample is louder when it is prepared, even if the speech stays under LEVEL."""
FAINTEST = -50.0
"""dBFS of speech: what is SOFTEST in it is then 20 dB over the rounding of 16 bits, as NOISY asks."""
SOFTEST = 30.0
"""dB under the speech at which silence begins, as by default at a sentence's ends (settings)."""
NOISY, DROWNED = 20.0, 10.0
"""dB from the noise to the speech: under the first it is heard in the clone, and the second is the gate under
which ``Meter`` takes a sound for a pause, so that nothing tells one from the other any more."""
CLIPPED, DISTORTED = 1e-4, 1e-2
"""Share of samples that are clipped: from the first a remark, from the second refused.

Speech is about Laplacian, and of such a signal the share that is clipped is also the power of what is cut
off, to that of the signal: 40 dB under the speech, hardly heard, and 20 dB, as rough as NOISY is noisy.
"""
FULL = 0.99
"""Of full scale, from which equal samples in a row are clipped: the largest value of 8 bits is 0.992."""
PADDING = 5
"""Frames of silence kept at each end: 50 ms, as the settings have for a sentence's ends."""
PAUSE_FRAMES = 20
"""Frames of a pause: 200 ms. The closure of a t or k is half of that at most."""
LONG_PAUSE = 50
"""Frames of the pause between two sentences: 500 ms."""
SPEECH_SHARE = 0.5
"""Share of frames that must not be silent in what is used: a knock and a cough are not 3 s of speech."""
LONGEST_TRANSCRIPT = 1_000
"""Characters."""
FEWEST_A_SECOND, MOST_A_SECOND = 1.0, 35.0
"""Characters a second: slow Mandarin has 2 and quick Spanish 20, so that outside of this two things do not
belong together."""
AFTER = 0.5
"""Seconds of silence after the recording where the model goes on from it: else it repeats the last sound."""

_WANTED = "a recording is wanted, as WAV, FLAC, MP3, Ogg or AIFF"
_EXTRACT = "extract the sound first, for example with ffmpeg -i FILE voice.wav"
_CONVERT = "turn it into WAV first, for example with ffmpeg -i FILE voice.wav"
_SPEECH = "give 5 to 15 s of one person speaking"
_AGAIN = "record it again"
_COPY = "copy it again"
_FOREIGN = (
    (0, b"\x7fELF", "is a program (ELF), not a recording", _WANTED),
    (0, b"MZ", "is a program (Windows), not a recording", _WANTED),
    (0, b"\xfe\xed\xfa\xce", "is a program (Mach-O), not a recording", _WANTED),
    (0, b"\xfe\xed\xfa\xcf", "is a program (Mach-O), not a recording", _WANTED),
    (0, b"\xce\xfa\xed\xfe", "is a program (Mach-O), not a recording", _WANTED),
    (0, b"\xcf\xfa\xed\xfe", "is a program (Mach-O), not a recording", _WANTED),
    (0, b"\xca\xfe\xba\xbe", "is a program (Mach-O), not a recording", _WANTED),
    (0, b"#!AMR", "is an AMR file, which has telephone quality", "record it again as WAV, FLAC or MP3"),
    (0, b"#!", "is a script, not a recording", _WANTED),
    (0, b"PK\x03\x04", "is an archive (ZIP), not a recording", "unpack it first"),
    (0, b"PK\x05\x06", "is an archive (ZIP), not a recording", "unpack it first"),
    (0, b"\x1f\x8b", "is an archive (gzip), not a recording", "unpack it first"),
    (0, b"7z\xbc\xaf\x27\x1c", "is an archive (7z), not a recording", "unpack it first"),
    (0, b"Rar!", "is an archive (RAR), not a recording", "unpack it first"),
    (0, b"%PDF", "is a document (PDF), not a recording", _WANTED),
    (0, b"\xff\xd8\xff", "is a picture (JPEG), not a recording", _WANTED),
    (0, b"\x89PNG", "is a picture (PNG), not a recording", _WANTED),
    (0, b"GIF8", "is a picture (GIF), not a recording", _WANTED),
    (8, b"WEBP", "is a picture (WebP), not a recording", _WANTED),
    (4, b"ftypavif", "is a picture (AVIF), not a recording", _WANTED),
    (4, b"ftyphei", "is a picture (HEIC), not a recording", _WANTED),
    (4, b"ftypM4A", "is an M4A file (AAC), which cannot be read here", _CONVERT),
    (4, b"ftypM4B", "is an M4A file (AAC), which cannot be read here", _CONVERT),
    (4, b"ftypqt", "is a video (MOV), not a recording", _EXTRACT),
    (4, b"ftyp", "is a video (MP4), not a recording", _EXTRACT),
    (4, b"moov", "is a video (MOV), not a recording", _EXTRACT),
    (4, b"mdat", "is a video (MOV), not a recording", _EXTRACT),
    (0, b"\x1a\x45\xdf\xa3", "is a video (Matroska or WebM), not a recording", _EXTRACT),
    (8, b"AVI ", "is a video (AVI), not a recording", _EXTRACT),
    (0, b"FLV\x01", "is a video (Flash), not a recording", _EXTRACT),
    (0, b"\x00\x00\x01\xba", "is a video (MPEG), not a recording", _EXTRACT),
    (0, b"\x30\x26\xb2\x75", "is a Windows Media file, which cannot be read here", _CONVERT),
)
"""Offset, bytes that stand there, what the file then is, and what to do about it; the first that fits."""
_HEAD = 512
"""Bytes of its begin that tell what it is: every format of sound has a zero among them, and no text has."""
_SLACK = 1024
"""Bytes that a header may count wrongly: some programs count themselves, or a last odd byte."""
_ENDLESS = 2**31 - 2**16
"""Bytes that a header claims where its writer did not know how many would follow."""
_BLOCK = 65_536
"""Frames that are decoded at a time, so that ten minutes are never held at the rate they come in."""
_NOT_SOUND = 2.0**32
"""Times full scale: beyond any integer, so that the file holds something else, as with NaN."""
_ALMOST = 0.1
"""Seconds that may be missing at the end: MP3 counts an encoder's padding in several ways."""


class InvalidRecordingError(SpeechError):
    """No voice can be cloned from this; the message says which file, why, and what to do."""

    code = "bad-recording"


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A recording as an engine takes it."""

    samples: Samples
    """int16, [samples], 24 kHz."""
    transcript: str
    """What is said in it; empty if nobody said, or if it could not be used."""
    remarks: tuple[str, ...]
    """Sentences for a person: what was done to it, and what is doubtful."""
    extension: str
    """Of the format that the recording really has, such as ``flac``."""

    @property
    def seconds(self) -> float:
        """Its length, with the silence at its end."""
        return len(self.samples) / SAMPLE_RATE


def prepare(path: Path, transcript: str = "") -> Prepared:
    """Return what a voice is cloned from; ``transcript``: what is said in the recording, word for word.

    The same recording and transcript give the same samples. Blocks, for a second or so: for a thread. Raises
    InvalidRecordingError.
    """
    import numpy as np

    name = shown(path.name)
    transcript = clean(transcript, name)
    remarks: list[str] = []
    with _opened(path) as (file, size):
        _sniff(os.pread(file, _HEAD, 0), size, name)
        frames, extension = _decode(file, name, remarks)
    sound = _centred(_one_channel(frames, remarks), remarks)
    samples = _samples(sound)
    powers = power(samples)
    threshold = _threshold(powers, _level(samples, name), remarks)
    begin, end, cut = _part(powers, threshold, name, remarks)
    if cut and transcript:
        transcript = ""
        remarks.append(
            "Its transcript is not used, for it has to say exactly what is heard: cut the recording to at "
            f"most {LONGEST_PART:.0f} s, at a pause, and write down what is said in that part."
        )
    if transcript:
        _check_pace(transcript, (end - begin) * FRAME / SAMPLE_RATE, name)
    part = sound[begin * FRAME : end * FRAME]
    gain = 10 ** ((LEVEL - _level(_samples(part), name)) / 20)
    fade = Fade()
    pieces = [fade.push(_samples(part * np.float32(min(gain, PEAK / np.abs(part).max())))), fade.finish()]
    if transcript:
        pieces.append(to_samples(silence(AFTER)))
    return Prepared(np.concatenate(pieces), transcript, tuple(remarks), extension)


def wav(prepared: Prepared) -> bytes:
    """Return a prepared recording as a WAV file: 24 kHz, mono, signed 16 bit."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setparams((CHANNELS, SAMPLE_WIDTH, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(prepared.samples.astype("<i2").tobytes())
    return sound.getvalue()


def fingerprint(path: Path) -> str:
    """Return the SHA-256 of a recording's bytes, hexadecimal. Raises InvalidRecordingError."""
    with _opened(path) as (file, _), os.fdopen(os.dup(file), "rb") as whole:
        return hashlib.file_digest(whole, "sha256").hexdigest()


def digest(recording: str, transcript: str) -> str:
    """Return ``Reference.digest``; ``recording``: its fingerprint, ``transcript``: what is used of it."""
    return hashlib.sha256(f"{VERSION}\n{recording}\n{transcript}".encode()).hexdigest()


def clean(transcript: str, name: str) -> str:
    """Return ``transcript`` on one line, without characters that nobody sees.

    Raises InvalidRecordingError, with ``name`` for the recording, where it is too long, or holds what the
    model takes for a mark of its own.
    """
    words = " ".join(unicodedata.normalize("NFC", transcript).split())
    text = "".join(letter for letter in words if unicodedata.category(letter) not in {"Cc", "Cf", "Cs"})
    if len(text) > LONGEST_TRANSCRIPT:
        raise InvalidRecordingError(
            f"the transcript of {name} has {len(text):,} characters, and at most {LONGEST_TRANSCRIPT:,} are "
            "spoken in a recording: give what is said in it and nothing else"
        )
    if "<|" in text:
        raise InvalidRecordingError(f"the transcript of {name} holds '<|', which nobody says: take it out")
    return text


def shown(name: str) -> str:
    """Return ``name`` as it can be shown on one line, whatever a file system let into it."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in name)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    """Open a regular file: its descriptor and its size.

    Raises InvalidRecordingError, also for what fails later on.

    Never waits: what could make it wait, or lead elsewhere, is not opened.
    """
    name = shown(path.name)
    try:
        _check_kind(path.lstat(), name)
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            status = os.fstat(file)
            _check_kind(status, name)
            if not status.st_size:
                raise InvalidRecordingError(f"{name} is empty: {_COPY}")
            if status.st_size > LARGEST:
                raise InvalidRecordingError(
                    f"{name} has {status.st_size / 1e6:,.0f} MB, and at most {LARGEST / 1e6:.0f} are read: "
                    f"{_SPEECH}"
                )
            yield file, status.st_size
        finally:
            os.close(file)
    except (OSError, ValueError) as error:  # ValueError: a null character in the path
        reason = error.strerror if isinstance(error, OSError) else error
        raise InvalidRecordingError(f"{name} cannot be read: {reason}") from error


def _check_kind(status: os.stat_result, name: str) -> None:
    if stat.S_ISLNK(status.st_mode):
        raise InvalidRecordingError(f"{name} is a link: give the file itself")
    if stat.S_ISDIR(status.st_mode):
        raise InvalidRecordingError(f"{name} is a directory, not a recording: {_WANTED}")
    if not stat.S_ISREG(status.st_mode):
        raise InvalidRecordingError(f"{name} is no ordinary file: {_WANTED}")


def _sniff(head: bytes, size: int, name: str) -> None:
    """Tell by its first bytes what is no recording at all, or not all of one.

    Raises InvalidRecordingError.
    """
    for offset, magic, what, advice in _FOREIGN:
        if head.startswith(magic, offset):
            raise InvalidRecordingError(f"{name} {what}: {advice}")
    if not any(byte < 32 and byte not in b"\t\n\f\r" for byte in head):
        try:
            text = head.decode("utf-8-sig", "strict" if size <= _HEAD else "ignore").lstrip().lower()
        except UnicodeDecodeError:
            text = None
        if text is not None:
            page = text.startswith(("<!doctype html", "<html"))
            what = "a web page" if page else "a text"
            raise InvalidRecordingError(f"{name} is {what}, not a recording: {_WANTED}")
    claims = {
        b"RIFF": 8 + int.from_bytes(head[4:8], "little"),
        b"FORM": 8 + int.from_bytes(head[4:8], "big"),
        b".snd": int.from_bytes(head[4:8], "big") + int.from_bytes(head[8:12], "big"),
    }
    claimed = claims.get(head[:4], 0)
    if size + _SLACK < claimed < _ENDLESS:
        raise InvalidRecordingError(f"{name} is cut off: {size:,} of {claimed:,} bytes are there: {_COPY}")


def _decode(file: int, name: str, remarks: list[str]) -> tuple[Sound, str]:
    """Return the sound, [samples, 1 or 2] at SAMPLE_RATE, and its extension. Raises InvalidRecordingError."""
    from soundfile import SoundFile, SoundFileError

    class Forward(SoundFile):  # type: ignore[misc]
        """Read once, without the seek after each read, which FLAC without a length refuses."""

        def seekable(self) -> bool:
            return False

    try:
        with Forward(file, closefd=False) as sound:
            if sound.format not in FORMATS:
                raise InvalidRecordingError(f"{name} is a file for samplers ({sound.format}): {_WANTED}")
            counted = _check_header(sound, file, name)
            frames = _resampled(sound, name, remarks)
            there = len(frames) / SAMPLE_RATE
            if there + _ALMOST < counted:
                raise InvalidRecordingError(
                    f"{name} is cut off: {there:.1f} of {counted:.1f} s are there: {_COPY}"
                )
            return frames, FORMATS[sound.format]
    except SoundFileError as error:
        raise InvalidRecordingError(f"{name} is damaged, or not a recording: {_WANTED}") from error


def _check_header(sound: SoundFile, file: int, name: str) -> float:
    """Return the seconds that its header says it has; 0 if it says none, or guesses.

    Raises InvalidRecordingError.
    """
    rate = sound.samplerate
    if rate > FASTEST_RATE:
        raise InvalidRecordingError(
            f"{name} claims {rate:,} samples a second, which no recording has: {_WANTED}"
        )
    if rate < SLOWEST_RATE:
        raise InvalidRecordingError(
            f"{name} has {rate:,} samples a second, which is telephone quality: "
            f"at least {SLOWEST_RATE:,} are needed"
        )
    if sound.channels > 2:
        raise InvalidRecordingError(f"{name} has {sound.channels} channels: one or two are wanted")
    if sound.format == "MP3" and not _counts_frames(file):
        return 0
    seconds: float = sound.frames / rate
    if seconds > 1e9:  # a FLAC file that was streamed: its samples are counted while they are decoded
        return 0
    if seconds > LONGEST:
        raise InvalidRecordingError(f"{name} is {seconds / 60:,.0f} minutes long: {_SPEECH}")
    if seconds < SHORTEST:
        raise _too_short(seconds, name)
    return seconds


def _too_short(seconds: float, name: str) -> InvalidRecordingError:
    return InvalidRecordingError(
        f"{name} has {seconds:.1f} s of sound, and at least {SHORTEST:.0f} s are needed: {_SPEECH}"
    )


def _counts_frames(file: int) -> bool:
    """Tell whether an MP3 says how long it is; otherwise libsndfile guesses from its first frame.

    What says so stands in its first frame, which an ID3 tag with a picture may come before.
    """
    head = os.pread(file, 10, 0)
    tag = 0
    if head.startswith(b"ID3") and len(head) == 10:
        for byte in head[6:]:
            tag = tag << 7 | byte & 0x7F
        tag += 10
    frame = os.pread(file, 256, tag)
    return any(mark in frame for mark in (b"Xing", b"Info", b"VBRI"))


def _resampled(sound: SoundFile, name: str, remarks: list[str]) -> Sound:
    """Decode up to LONGEST seconds and bring them to SAMPLE_RATE, channel by channel.

    Counts on the way what is clipped: it shows only at the rate it was recorded in. Raises
    InvalidRecordingError.
    """
    import numpy as np
    import soxr

    stream = soxr.ResampleStream(sound.samplerate, SAMPLE_RATE, sound.channels, "float32", "VHQ")
    floats = sound.subtype in {"FLOAT", "DOUBLE"}
    pieces = []
    read = clipped = 0
    peak = 0.0
    while len(block := sound.read(_BLOCK, "float32", always_2d=True)):
        read += len(block)
        if read > LONGEST * sound.samplerate:
            raise InvalidRecordingError(f"{name} is over {LONGEST / 60:.0f} minutes long: {_SPEECH}")
        peak = max(peak, float(np.abs(block).max()))
        if not (np.abs(block) < _NOT_SOUND).all():
            raise InvalidRecordingError(
                f"{name} is damaged: it holds numbers that are no sound (NaN or infinite)"
            )
        clipped += _clipped(block, max(3, sound.samplerate // SLOWEST_RATE), floats)
        pieces.append(stream.resample_chunk(block))
    if not read:
        raise InvalidRecordingError(f"{name} holds no sound: {_AGAIN}")
    pieces.append(stream.resample_chunk(np.zeros((0, sound.channels), np.float32), last=True))
    share = clipped / (read * sound.channels)
    if share >= DISTORTED:
        raise InvalidRecordingError(
            f"{name} is distorted, for it was recorded too loud ({share:.0%} of it is clipped): "
            f"{_AGAIN}, more softly"
        )
    if share >= CLIPPED:
        remarks.append("It was recorded a little too loud, and its loudest sounds are distorted.")
    elif peak > 1 and floats:
        remarks.append("It goes beyond full scale, and was made softer.")
    return np.concatenate(pieces)


def _clipped(block: Sound, fewest: int, floats: bool) -> int:
    """Return how many samples are clipped: ``fewest`` or more in a row, equal, and at full scale or over.

    What a lossy format makes of such a row is no longer equal, but goes over full scale; unclipped ``floats``
    may do that too and lose nothing.
    """
    import numpy as np

    count = 0
    for channel in block.T:
        rows = _runs((np.abs(channel[1:]) >= FULL) & (channel[1:] == channel[:-1]))
        lengths = rows[:, 1] - rows[:, 0] + 1
        count += int(lengths[lengths >= fewest].sum())
    return max(count, 0 if floats else int((np.abs(block) > 1).sum()))


def _runs(mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """Return where ``mask`` is true: [runs, 2], the first of each and the one after its last."""
    import numpy as np

    closed = np.concatenate(([False], mask, [False]))
    return np.flatnonzero(closed[1:] != closed[:-1]).reshape(-1, 2)


def _one_channel(frames: Sound, remarks: list[str]) -> Sound:
    """Return both channels mixed, [samples]; or the louder, where the mix would lose more than 5 dB to it.

    Two equal ones lose nothing, two of different rooms 3 dB, one beside silence 6 dB, and those of which one
    is upside down everything.
    """
    import numpy as np

    if frames.shape[1] == 1:
        return frames[:, 0]
    mixed: Sound = frames.mean(axis=1)
    powers = frames.var(axis=0, dtype=np.float64)
    if mixed.var(dtype=np.float64) >= powers.max() * from_db(-5):
        return mixed
    remarks.append("Of its two channels only the louder is used: the other is silent, or takes it away.")
    return frames[:, int(powers.argmax())]


def _centred(sound: Sound, remarks: list[str]) -> Sound:
    """Return ``sound`` around zero, within full scale, and in whole frames."""
    import numpy as np

    offset = sound.mean(dtype=np.float64)
    sound = sound - np.float32(offset)
    peak = np.abs(sound).max()
    if abs(offset) > 0.01 * max(1, peak):
        remarks.append("A constant offset was taken out of it.")
    return np.pad(sound / max(np.float32(1), peak), (0, -len(sound) % FRAME))


def _samples(sound: Sound) -> Samples:
    return to_samples(to_pcm(sound))


def _level(samples: Samples, name: str) -> float:
    """Return the level of the speech in dBFS.

    Raises InvalidRecordingError where it is too soft to be anything.
    """
    meter = Meter()
    meter.push(samples)
    if meter.level == -math.inf:
        raise InvalidRecordingError(f"{name} is silent: {_AGAIN}")
    if meter.level < FAINTEST:
        raise InvalidRecordingError(
            f"{name} is too quiet (its speech has {meter.level:.0f} dBFS): {_AGAIN}, louder or closer"
        )
    return meter.level


def _threshold(powers: NDArray[np.float64], level: float, remarks: list[str]) -> float:
    """Return the power under which a frame is silent: SOFTEST under the speech, or 6 dB over the noise.

    ``level``: of the speech, dBFS. The noise is what a tenth of the frames stay under: even of quick speech
    so much are pauses and closures. Frames of nothing at all are an editor's work and do not count. Where
    the speech is hardly louder than the noise, one cannot be told from the other, and all of it is speech.
    """
    import numpy as np

    noise = 10 * math.log10(np.quantile(powers[powers > 0], 0.1))
    distance = level - noise
    if distance < DROWNED:
        remarks.append(
            f"Its speech is hardly louder than its noise ({distance:.0f} dB): {_AGAIN} in a quiet room."
        )
        return from_db(max(SILENCE, level - SOFTEST))
    if distance < NOISY:
        remarks.append(
            f"Its noise is only {distance:.0f} dB under the speech, and will be heard in the voice."
        )
    return from_db(max(SILENCE, level - SOFTEST, noise + min(6, distance / 2)))


def _part(
    powers: NDArray[np.float64], threshold: float, name: str, remarks: list[str]
) -> tuple[int, int, bool]:
    """Return the frames that are used, from and to, and whether speech was cut off.

    Raises InvalidRecordingError where there is too little sound.
    """
    import numpy as np

    loud = powers >= threshold
    first, last = (int(frame) for frame in np.flatnonzero(loud)[[0, -1]])
    begin, end = max(0, first - PADDING), min(len(loud), last + 1 + PADDING)
    seconds = (last + 1 - first) * FRAME / SAMPLE_RATE
    if seconds < SHORTEST:
        raise _too_short(seconds, name)
    if seconds < SHORT:
        remarks.append(
            f"It has only {seconds:.1f} s of sound: {SHORT:.0f} to {LONGEST_PART:.0f} s are better."
        )
    cut = end - begin > _frames(LONGEST_PART)
    if cut:
        begin, end = _stretch(loud, begin, end) or _quietest(powers, begin, remarks)
        remarks.append(
            f"It is {seconds:.0f} s long, and only {begin * FRAME / SAMPLE_RATE:.1f} s "
            f"to {end * FRAME / SAMPLE_RATE:.1f} s of it are used."
        )
    spoken = int(loud[begin:end].sum()) * FRAME / SAMPLE_RATE
    if spoken < SHORTEST * SPEECH_SHARE:
        raise InvalidRecordingError(f"{name} is mostly silent, with {spoken:.1f} s of sound in it: {_SPEECH}")
    return begin, end, cut


def _frames(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / FRAME)


def _stretch(loud: NDArray[np.bool_], begin: int, end: int) -> tuple[int, int] | None:
    """Return the first stretch of speech from pause to pause, SHORT to LONGEST_PART seconds, if there is one.

    Of several pauses that it could end at a long one is taken, and a late one: up to LONG_PAUSE its length
    counts for as much as its place. ``begin``, ``end``: of all there is. It must not be mostly silence.
    """
    silent = (_runs(~loud[begin:end]) + begin).tolist()
    pauses = [(fell, rose) for fell, rose in silent if rose - fell >= PAUSE_FRAMES]
    shortest, longest = _frames(SHORT), _frames(LONGEST_PART)
    for start in [begin, *(rose - PADDING for _, rose in pauses)]:
        best, most = 0, -1.0
        for fell, rose in pauses:
            at = max(fell + PADDING, start + shortest)
            if at <= min(rose, start + longest):
                worth = min(1, (rose - fell) / LONG_PAUSE) + (at - start - shortest) / (longest - shortest)
                best, most = (at, worth) if worth > most else (best, most)
        if shortest <= end - start <= longest:
            best = end
        if best and loud[start:best].sum() >= SPEECH_SHARE * shortest:
            return start, best
    return None


def _quietest(powers: NDArray[np.float64], begin: int, remarks: list[str]) -> tuple[int, int]:
    """Return a stretch from ``begin`` to the softest 50 ms between SHORT and LONGEST_PART seconds later."""
    import numpy as np

    remarks.append("It has no pause to be cut at, and may end within a word.")
    around = np.convolve(powers, np.ones(5), "same")[begin + _frames(SHORT) : begin + _frames(LONGEST_PART)]
    return begin, begin + _frames(SHORT) + int(around.argmin())


def _check_pace(transcript: str, seconds: float, name: str) -> None:
    """Raise InvalidRecordingError where nobody says so many characters, or so few, in so many seconds."""
    if not FEWEST_A_SECOND <= len(transcript) / seconds <= MOST_A_SECOND:
        raise InvalidRecordingError(
            f"{name} is {seconds:.0f} s long and its transcript has {len(transcript)} characters, which do "
            "not fit: give what is said in it, all of it and nothing else, or no transcript"
        )
