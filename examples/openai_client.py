#!/usr/bin/env python3
"""Speaks a text with OpenAI's own Python client, and plays or saves it while it is made.

    pip install openai
    examples/openai_client.py "Dinner is ready." dinner.mp3                         # as it comes, into a file
    examples/openai_client.py "Dinner is ready." | ffplay -nodisp -autoexit -i -    # as it comes, to a player

It needs a server with ``--http-port 8080``. OPENAI_BASE_URL says where that is (http://HOST:8080/v1) and
OPENAI_API_KEY is a key that it knows; on the same machine it needs neither. VOICE names a voice, or is one of
OpenAI's names (alloy, nova, …). The format is what the file's name ends with.
"""

import os
import sys
from pathlib import Path

from openai import OpenAI, OpenAIError


def main(text: str, file: str | None = None) -> None:
    """Speak a text into a file, or to standard output."""
    form = Path(file).suffix[1:] if file else "mp3"
    client = OpenAI(
        base_url=os.environ.get("OPENAI_BASE_URL", "http://localhost:8080/v1"),
        api_key=os.environ.get("OPENAI_API_KEY", "not needed on this machine"),
    )
    # Without with_streaming_response the client waits for the last byte before it gives the first.
    with client.audio.speech.with_streaming_response.create(
        model="tts-1",
        voice=os.environ.get("VOICE", "alloy"),
        input=text,
        response_format=form,  # type: ignore[arg-type]  # mp3, opus, flac, wav or pcm
    ) as answer:
        first = answer.headers["X-First-Audio-Ms"]
        with Path(file).open("wb") if file else os.fdopen(sys.stdout.fileno(), "wb", 0) as sink:
            for piece in answer.iter_bytes(4096):
                sink.write(piece)
    print(f"first sound after {float(first):.0f} ms", file=sys.stderr)


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OpenAIError as error:
        sys.exit(f"error: {error}")
