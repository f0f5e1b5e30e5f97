#!/usr/bin/env python3
"""Makes the phrases of a telephone line beforehand, as files that a telephone exchange can play.

    .venv/bin/python examples/ivr/render.py examples/ivr/phrases.txt prompts
    .venv/bin/python examples/ivr/render.py phrases.txt prompts --voice Ryan --rate 16000
    .venv/bin/python examples/ivr/render.py phrases.txt prompts --format ulaw   # no header, for Asterisk

First ``wyoming-qwen3tts prerender`` stores the phrases in the running server, where they stay: a run that was
broken off goes on where it was, and of a longer file only what is new is made. Then a batch over HTTP brings
them, and each becomes a file of the telephone's rate, named by its words; ``index.csv`` lists them.

It needs a server with ``--http-port 8080``, and the Python that this project is installed in.
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import re
import subprocess
import sys
import urllib.request
import zipfile
from pathlib import Path

import soundfile
import soxr

from wyoming_qwen3tts.text.phrases import read

FORMATS = {"wav": ("WAV", "PCM_16"), "ulaw": ("RAW", "ULAW"), "alaw": ("RAW", "ALAW")}
"""Ending of a file → what libsndfile calls it."""
MOST = 1000
"""Texts of one batch."""


def main() -> int:
    """Make the files; return the exit status: 1 where a phrase is missing. Raises ValueError, OSError."""
    options = _options()
    texts = list(dict.fromkeys(phrase.text for phrase in read(options.phrases)))
    names = {text: f"{_name(text)}.{options.format}" for text in texts}
    if len(set(names.values())) < len(texts):
        print("error: two phrases begin with the same words, and would be one file", file=sys.stderr)
        return 1
    store = [sys.executable, "-m", "wyoming_qwen3tts", "prerender", str(options.phrases)]
    store += ["--voice", options.voice] if options.voice else []
    store += ["--uri", options.uri] if options.uri else []
    if subprocess.run(store, check=False).returncode:  # noqa: S603 - our own command
        return 1
    options.directory.mkdir(parents=True, exist_ok=True)
    rows = []
    for start in range(0, len(texts), MOST):
        for text, wave in _fetch(options, texts[start : start + MOST]).items():
            sound, rate = soundfile.read(io.BytesIO(wave), dtype="float32")
            telephone = soxr.resample(sound, rate, options.rate)
            major, subtype = FORMATS[options.format]
            path = options.directory / names[text]
            soundfile.write(path, telephone, options.rate, format=major, subtype=subtype)
            rows.append((names[text], f"{len(sound) / rate:.2f}", text))
    with (options.directory / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "seconds", "text"), *rows])
    print(f"{len(rows)} of {len(texts)} phrases in {options.directory}, {options.rate} Hz")
    return 0 if len(rows) == len(texts) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("phrases", type=Path, metavar="FILE", help="a phrase a line; templates as {1..9}")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the files go")
    parser.add_argument("--voice", help="a voice's name (default: the server's default voice)")
    parser.add_argument("--rate", type=int, default=8000, help="samples a second (default: %(default)s)")
    parser.add_argument("--format", choices=FORMATS, default="wav", help="(default: %(default)s)")
    parser.add_argument("--url", default="http://localhost:8080", help="the server's HTTP (%(default)s)")
    parser.add_argument("--key", help="a key that it knows, where it is on another machine")
    parser.add_argument("--uri", help="the server's other address, for prerender (default: this machine)")
    return parser.parse_args()


def _name(text: str) -> str:
    """Return the words of a phrase as a file's name."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:60].rstrip("-")


def _fetch(options: argparse.Namespace, texts: list[str]) -> dict[str, bytes]:
    """Return the sound of each text as a WAV file; what cannot be said is told and left out."""
    body: dict[str, object] = {"inputs": texts, "response_format": "wav"}
    if options.voice:
        body["voice"] = options.voice
    headers = {"Content-Type": "application/json"}
    if options.key:
        headers["Authorization"] = f"Bearer {options.key}"
    request = urllib.request.Request(  # noqa: S310 - the user's own address
        f"{options.url}/v1/audio/speech/batch", json.dumps(body).encode(), headers
    )
    with urllib.request.urlopen(request) as answer:  # noqa: S310
        archive = zipfile.ZipFile(io.BytesIO(answer.read()))
    found = {}
    for each in json.loads(archive.read("index.json"))["inputs"]:
        if "file" in each:
            found[each["text"]] = archive.read(each["file"])
        else:
            print(f"error: {each['text']!r}: {each['error']['message']}", file=sys.stderr)
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
