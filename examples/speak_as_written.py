#!/usr/bin/env python3
"""Speaks what a language model writes while it writes it: the first sentence sounds before the last is there.

    pip install wyoming openai
    export OPENAI_BASE_URL=http://localhost:11434/v1 OPENAI_API_KEY=none MODEL=llama3.2    # any such server
    examples/speak_as_written.py "Why is the sky blue?" | aplay -q -t raw -f S16_LE -r 24000
    some-program-that-writes | examples/speak_as_written.py | aplay -q -t raw -f S16_LE -r 24000

The text goes to the server piece by piece as it comes (``synthesize-start``, ``synthesize-chunk``…,
``synthesize-stop``), and sound comes back meanwhile: 24 kHz, 16 bit, mono, on standard output. SPEECH_URI
names the server (tcp://HOST:10200), VOICE a voice. ``speak`` takes any asynchronous iterator of text.
"""

import asyncio
import codecs
import os
import sys
import threading
from collections.abc import AsyncIterator

from wyoming.audio import AudioChunk
from wyoming.client import AsyncClient
from wyoming.error import Error
from wyoming.tts import SynthesizeChunk, SynthesizeStart, SynthesizeStop, SynthesizeStopped, SynthesizeVoice


async def speak(pieces: AsyncIterator[str], uri: str, voice: str | None = None) -> AsyncIterator[bytes]:
    """Send text as it comes, yield sound as it comes. Raises RuntimeError unless all of it was said."""
    async with AsyncClient.from_uri(uri) as client:
        writing = asyncio.create_task(_write(client, pieces, voice))
        try:
            while (event := await client.read_event()) is not None:
                if AudioChunk.is_type(event.type):
                    yield AudioChunk.from_event(event).audio
                elif Error.is_type(event.type):
                    raise RuntimeError(Error.from_event(event).text)
                elif SynthesizeStopped.is_type(event.type):
                    break
            else:
                raise RuntimeError("the server left before the end")
            await writing  # raises what the text broke off with, now that the rest was said
        finally:
            writing.cancel()
            await asyncio.gather(writing, return_exceptions=True)


async def _write(client: AsyncClient, pieces: AsyncIterator[str], voice: str | None) -> None:
    await client.write_event(SynthesizeStart(voice=SynthesizeVoice(name=voice) if voice else None).event())
    try:
        async for piece in pieces:
            await client.write_event(SynthesizeChunk(text=piece).event())
    finally:  # what was written is said, even where the model broke off
        await client.write_event(SynthesizeStop().event())


async def chat(question: str) -> AsyncIterator[str]:
    """Yield what a model writes, as it writes it; any server that speaks OpenAI's dialect."""
    from openai import AsyncOpenAI, OpenAIError

    try:
        async with AsyncOpenAI() as client:  # OPENAI_BASE_URL, OPENAI_API_KEY
            stream = await client.chat.completions.create(
                model=os.environ.get("MODEL", "gpt-4o-mini"),
                messages=[{"role": "user", "content": question}],
                stream=True,
            )
            async for event in stream:
                if event.choices and event.choices[0].delta.content:
                    yield event.choices[0].delta.content
    except OpenAIError as error:
        raise RuntimeError(f"the language model: {error}") from error


async def typed() -> AsyncIterator[str]:
    """Yield standard input as it comes, never half a character."""
    loop, blocks = asyncio.get_running_loop(), asyncio.Queue[bytes]()

    def read() -> None:
        data = b"."
        while data:
            data = os.read(0, 4096)
            loop.call_soon_threadsafe(blocks.put_nowait, data)

    threading.Thread(target=read, daemon=True).start()  # one that waits for input cannot be stopped
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
    while data := await blocks.get():
        yield decode(data)


async def main() -> None:
    """Speak an answer, or standard input."""
    pieces = chat(" ".join(sys.argv[1:])) if sys.argv[1:] else typed()
    uri = os.environ.get("SPEECH_URI", "tcp://localhost:10200")
    async for sound in speak(pieces, uri, os.environ.get("VOICE")):
        await asyncio.to_thread(os.write, 1, sound)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except (OSError, RuntimeError) as error:
        sys.exit(f"error: {error}")
