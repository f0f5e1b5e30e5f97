"""The rules of a Wyoming conversation about speech, without I/O.

A client says ``synthesize``, or ``synthesize-start``, any number of ``synthesize-chunk`` and
``synthesize-stop``. Inside a stream comes a ``synthesize`` with the whole text, for servers that cannot
stream: it is ignored. Everything else about a connection is in ``server.py``.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import Describe, SelectProgram
from wyoming.ping import Ping, Pong
from wyoming.tts import Synthesize, SynthesizeChunk, SynthesizeStart, SynthesizeStop

from ...speech import LONGEST_NAME, Caching, SpeechRequest, TextFeed, unspeakable
from ...text.language_tags import parse_requested_language
from .framing import ProtocolError

_LOGGER = logging.getLogger(__name__)

_AUDIO = (AudioStart, AudioChunk, AudioStop)
MOST_VIA = 8
"""Servers that may pass a request on, one to the next: a chain that is longer is a mistake."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request for speech, and which of the two forms its answer takes."""

    request: SpeechRequest
    streamed: bool
    """True: the answer ends with ``synthesize-stopped``."""


class Dialogue:
    """What one connection has said so far, and what it may say next."""

    def __init__(self, info: Callable[[], bytes], *, streaming: bool, max_text: int) -> None:
        """``info`` gives the answer to ``describe``, as it goes over the wire.

        ``max_text`` in characters, of all chunks together.
        """
        self._info = info
        self._streaming = streaming
        self._max_text = max_text
        self._open: TextFeed | None = None

    @property
    def awaits_text(self) -> bool:
        """True between ``synthesize-start`` and ``synthesize-stop``."""
        return self._open is not None

    @property
    def in_text(self) -> bool:
        """True between the first ``synthesize-chunk`` that holds text and ``synthesize-stop``."""
        return self._open is not None and self._open.length > 0

    def receive(self, event: Event) -> Event | bytes | Conversation | None:
        """Return what to answer at once (bytes are encoded already), or a request to speak, or nothing.

        Raises ProtocolError. If it is fatal, call ``fail`` with it.
        """
        kind = event.type
        if Describe.is_type(kind):
            return self._info()
        if Ping.is_type(kind):
            return Pong(text=_string(event, "text", required=False)).event()
        if Synthesize.is_type(kind):
            return self._synthesize(event)
        if self._streaming and SynthesizeStart.is_type(kind):
            return self._start(event)
        if self._streaming and SynthesizeChunk.is_type(kind):
            self._chunk(event)
        elif self._streaming and SynthesizeStop.is_type(kind):
            self._stop()
        elif any(audio.is_type(kind) for audio in _AUDIO):
            raise ProtocolError(
                f"{kind} makes no sense here: this server speaks and does not listen",
                "unexpected-event",
                fatal=False,
            )
        elif not SelectProgram.is_type(kind):
            _LOGGER.debug("Ignored event %.40r", kind)
        return None

    def fail(self, error: Exception) -> bool:
        """End the open stream, if there is one, with ``error``; tell whether there was."""
        stream, self._open = self._open, None
        if stream is None:
            return False
        stream.fail(error)
        return True

    def _synthesize(self, event: Event) -> Conversation | None:
        if self._open is not None:
            return None  # for servers that cannot stream
        text = self._text(event, 0)
        return Conversation(_request(event, TextFeed.whole(text)), streamed=False)

    def _start(self, event: Event) -> Conversation:
        if self._open is not None:
            raise ProtocolError(
                "synthesize-start inside a stream: synthesize-stop is missing", "unexpected-event"
            )
        feed = TextFeed()
        conversation = Conversation(_request(event, feed), streamed=True)
        self._open = feed
        return conversation

    def _chunk(self, event: Event) -> None:
        if self._open is None:
            raise ProtocolError(
                "synthesize-chunk without synthesize-start: the text is not spoken",
                "unexpected-event",
                fatal=False,
            )
        self._open.push(self._text(event, self._open.length))

    def _stop(self) -> None:
        if self._open is None:
            raise ProtocolError("synthesize-stop without synthesize-start", "unexpected-event", fatal=False)
        self._open.end()
        self._open = None

    def _text(self, event: Event, so_far: int) -> str:
        """Return the event's text. Raises ProtocolError if it is not one, or too long, or not encodable."""
        text = _string(event, "text", required=True) or ""
        if so_far + len(text) > self._max_text:
            raise ProtocolError(
                f"the text has over {self._max_text} characters, the most for one request", "text-too-long"
            )
        if (found := unspeakable(text)) is not None:
            what, at = found
            raise ProtocolError(f"the text holds {what} at character {so_far + at}", "invalid-text")
        return text


def _request(event: Event, feed: TextFeed) -> SpeechRequest:
    voice = event.data.get("voice") or {}
    if not isinstance(voice, dict):
        raise ProtocolError(
            f"{event.type}: voice must be an object, not {type(voice).__name__}", "invalid-event"
        )
    names = {key: _field(voice, key, f"{event.type}: voice.{key}") for key in ("name", "language", "speaker")}
    markup = _field(event.data, "text_format", f"{event.type}: text_format")
    if markup not in {None, "text", "ssml"}:
        _LOGGER.warning("%s: text_format %.20r is not text or ssml; read as text", event.type, markup)
    fallback = _fallback(event)
    return SpeechRequest(
        feed,
        voice=names["name"],
        speaker=names["speaker"],
        language=_language(event, names["language"]),
        markup="ssml" if markup == "ssml" else None,
        reject_unknown_voice=not fallback,
        fallback=fallback,
        hops=_via(event),
        caching=_caching(event),
    )


def _language(event: Event, given: str | None) -> str | None:
    """Return the BCP 47 tag of the language that a client named; None where it named none that exists."""
    try:
        return parse_requested_language(given)
    except ValueError as error:
        _LOGGER.warning("%s: voice.language: %s; the language is detected", event.type, error)
        return None


def _context(event: Event) -> dict[str, Any]:
    """Return the event's ``context``; what it holds beside ``cache``, ``fallback``, ``hops`` is its own."""
    context = event.data.get("context") or {}
    if not isinstance(context, dict):
        raise ProtocolError(
            f"{event.type}: context must be an object, not {type(context).__name__}", "invalid-event"
        )
    return context


def _fallback(event: Event) -> bool:
    """Return what the event's ``context.fallback`` says: whether somebody else may speak."""
    asked = _context(event).get("fallback")
    if asked is None or isinstance(asked, bool):
        return asked is not False
    raise ProtocolError(
        f"{event.type}: context.fallback is {json.dumps(asked):.40}; known are true, false", "invalid-event"
    )


def _via(event: Event) -> tuple[str, ...]:
    """Return what the event's ``context.hops`` says: servers that have passed the request on."""
    said = _context(event).get("via")
    if said is None:
        return ()
    if isinstance(said, list) and all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in said):
        if len(said) > MOST_VIA:
            raise ProtocolError(f"{event.type}: it came through {len(said)} servers", "loop-detected")
        return tuple(said)
    raise ProtocolError(
        f"{event.type}: context.via is {json.dumps(said):.40}, not a list of short names", "invalid-event"
    )


def _caching(event: Event) -> Caching:
    """Return what the event's ``context.cache`` says."""
    asked = _context(event).get("cache")
    if asked is None:
        return Caching.AUTO
    if isinstance(asked, bool):
        return Caching.ON if asked else Caching.OFF
    try:
        return Caching(asked)
    except ValueError:
        known = ", ".join(("true", "false", *(f'"{caching.value}"' for caching in Caching)))
        said = json.dumps(asked)
        raise ProtocolError(
            f"{event.type}: context.cache is {said:.40}; known are {known}", "invalid-event"
        ) from None


def _string(event: Event, key: str, *, required: bool) -> str | None:
    value = _field(event.data, key, f"{event.type}: {key}")
    if value is None and required:
        raise ProtocolError(f"{event.type}: {key} is missing", "invalid-event")
    return value


def _field(data: dict[str, Any], key: str, name: str) -> str | None:
    value = data.get(key)
    if value is not None and not isinstance(value, str):
        raise ProtocolError(f"{name} must be a string, not {type(value).__name__}", "invalid-event")
    return value
