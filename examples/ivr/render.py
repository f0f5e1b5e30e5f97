#!/usr/bin/env python3
"""Renders the phrases of a telephone line as files that Asterisk and FreeSWITCH play.

    .venv/bin/python examples/ivr/render.py examples/ivr/phrases.txt prompts     # for Asterisk: ulaw
    .venv/bin/python examples/ivr/render.py phrases.txt prompts --format alaw    # its other G.711
    .venv/bin/python examples/ivr/render.py phrases.txt prompts --format sln16   # its wideband
    .venv/bin/python examples/ivr/render.py phrases.txt prompts --format wav     # for both

Asterisk plays the files with ``Playback(/path/prompts/NAME)``, without the ending; FreeSWITCH plays the WAV
files with ``<action application="playback" data="/path/prompts/NAME.wav"/>``. README.md beside this file has
both, and how to play a text that is not known beforehand.

First ``wyoming-qwen3tts prerender`` stores the phrases in the running server, so that a run that was broken
off continues, and of a longer file only what is new is made. Then a batch over HTTP brings them in the
telephone's format, each as a file that is named by its words; ``index.csv`` lists them.

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

from wyoming_qwen3tts.text.phrases import read_phrases

FORMATS: dict[str, dict[str, object]] = {
    "ulaw": {"response_format": "mulaw"},
    "alaw": {"response_format": "alaw"},
    "wav": {"response_format": "wav", "sample_rate": 8000},
    "sln": {"response_format": "pcm", "sample_rate": 8000},
    "sln16": {"response_format": "pcm", "sample_rate": 16_000},
}
"""Ending of a file, which is how Asterisk knows its format → what the server is asked for."""
MOST = 1000
"""Texts of one batch."""


def main() -> int:
    """Make the files; return the exit status: 1 where a phrase is missing. Raises ValueError, OSError."""
    options = _options()
    texts = list(dict.fromkeys(phrase.text for phrase in read_phrases(options.phrases)))
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
        for text, (seconds, content) in _fetch(options, texts[start : start + MOST]).items():
            (options.directory / names[text]).write_bytes(content)
            rows.append((names[text], f"{seconds:.2f}", text))
    with (options.directory / "index.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("file", "seconds", "text"), *rows])
    print(f"{len(rows)} of {len(texts)} phrases in {options.directory}")
    return 0 if len(rows) == len(texts) else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("phrases", type=Path, metavar="FILE", help="a phrase a line; templates as {1..9}")
    parser.add_argument("directory", type=Path, metavar="DIR", help="where the files go")
    parser.add_argument("--voice", help="a voice's name (default: the server's default voice)")
    parser.add_argument("--format", choices=FORMATS, default="ulaw", help="(default: %(default)s)")
    parser.add_argument("--url", default="http://localhost:8080", help="the server's HTTP (%(default)s)")
    parser.add_argument("--key", help="a key that it knows, where it is on another machine")
    parser.add_argument("--uri", help="the server's other address, for prerender (default: this machine)")
    return parser.parse_args()


def _name(text: str) -> str:
    """Return the words of a phrase as a file's name."""
    return re.sub(r"[\W_]+", "-", text.lower()).strip("-")[:60].rstrip("-")


def _fetch(options: argparse.Namespace, texts: list[str]) -> dict[str, tuple[float, bytes]]:
    """Return the seconds and the file of each text; what cannot be said is printed and left out."""
    body: dict[str, object] = {"inputs": texts, **FORMATS[options.format]}
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
            found[each["text"]] = (each["seconds"], archive.read(each["file"]))
        else:
            print(f"error: {each['text']!r}: {each['error']['message']}", file=sys.stderr)
    return found


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")
