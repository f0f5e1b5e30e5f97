"""The Wyoming protocol's rules for speech requests, without I/O.

A client sends ``synthesize``; or ``synthesize-start``, any number of ``synthesize-chunk``, and
``synthesize-stop``. Inside such a stream clients also send a ``synthesize`` with the whole text, for servers
that do not support streaming: it is ignored. Everything else about a connection is in ``connection.py``.
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
from ...telemetry import quote
from ...text.language_tags import parse_requested_language
from .framing import ProtocolError

_LOGGER = logging.getLogger(__name__)

_AUDIO = (AudioStart, AudioChunk, AudioStop)
MAX_HOPS = 8
"""Servers that a request may be forwarded through; a longer chain is a configuration mistake."""


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A request for speech, and which of the two forms its answer has."""

    request: SpeechRequest
    streamed: bool
    """True: the text is streamed, and the answer ends with ``synthesize-stopped``."""


class WyomingSession:
    """The protocol state of one connection: turns events into answers and requests."""

    def __init__(self, info: Callable[[], bytes], *, streaming: bool, max_text: int) -> None:
        """``info``: returns the encoded answer to ``describe``. ``max_text``: characters of one request."""
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

    def receive(self, event: Event) -> Event | bytes | PendingRequest | None:
        """Return an immediate answer (bytes are encoded already), a request to speak, or None.

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
                f"{kind} is not supported: this server synthesizes speech and accepts no audio",
                "unexpected-event",
                fatal=False,
            )
        elif not SelectProgram.is_type(kind):
            _LOGGER.debug("wyoming: event ignored type=%s", quote(str(kind)[:40]))
        return None

    def fail(self, error: Exception) -> bool:
        """End the open stream, if there is one, with ``error``; return whether there was one."""
        stream, self._open = self._open, None
        if stream is None:
            return False
        stream.fail(error)
        return True

    def _synthesize(self, event: Event) -> PendingRequest | None:
        if self._open is not None:
            return None  # the whole text again, for servers that do not support streaming
        text = self._text(event, 0)
        return PendingRequest(_request(event, TextFeed.whole(text)), streamed=False)

    def _start(self, event: Event) -> PendingRequest:
        if self._open is not None:
            raise ProtocolError(
                "synthesize-start while a text stream is open: send synthesize-stop first", "unexpected-event"
            )
        feed = TextFeed()
        pending = PendingRequest(_request(event, feed), streamed=True)
        self._open = feed
        return pending

    def _chunk(self, event: Event) -> None:
        if self._open is None:
            raise ProtocolError(
                "synthesize-chunk without synthesize-start: its text is ignored",
                "unexpected-event",
                fatal=False,
            )
        self._open.push(self._text(event, self._open.length))

    def _stop(self) -> None:
        if self._open is None:
            raise ProtocolError(
                "synthesize-stop without synthesize-start: it is ignored", "unexpected-event", fatal=False
            )
        self._open.end()
        self._open = None

    def _text(self, event: Event, so_far: int) -> str:
        """Return the event's text. Raises ProtocolError if it is missing, too long, or not valid Unicode."""
        text = _string(event, "text", required=True) or ""
        if so_far + len(text) > self._max_text:
            raise ProtocolError(
                f"the text has over {self._max_text} characters, the limit for one request (--max-text)",
                "text-too-long",
            )
        if (found := unspeakable(text)) is not None:
            what, at = found
            raise ProtocolError(f"the text contains {what} at character {so_far + at}", "invalid-text")
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
        _LOGGER.warning(
            "wyoming: unknown text_format, read as text event=%s value=%s",
            event.type,
            quote(str(markup)[:20]),
        )
    fallback = _fallback(event)
    return SpeechRequest(
        feed,
        voice=names["name"],
        speaker=names["speaker"],
        language=_language(event, names["language"]),
        markup="ssml" if markup == "ssml" else None,
        reject_unknown_voice=not fallback,
        fallback=fallback,
        hops=_hops(event),
        caching=_caching(event),
    )


def _language(event: Event, given: str | None) -> str | None:
    """Return the BCP 47 tag of the requested language; None if there is none, or it is unknown."""
    try:
        return parse_requested_language(given)
    except ValueError as error:
        _LOGGER.warning(
            "wyoming: unknown voice.language, detected from the text instead event=%s error=%s",
            event.type,
            quote(error),
        )
        return None


def _context(event: Event) -> dict[str, Any]:
    """Return the event's ``context``; keys other than ``cache``, ``fallback`` and ``via`` are ignored."""
    context = event.data.get("context") or {}
    if not isinstance(context, dict):
        raise ProtocolError(
            f"{event.type}: context must be an object, not {type(context).__name__}", "invalid-event"
        )
    return context


def _fallback(event: Event) -> bool:
    """Return ``context.fallback``: whether another voice or engine may be used; true by default."""
    asked = _context(event).get("fallback")
    if asked is None or isinstance(asked, bool):
        return asked is not False
    raise ProtocolError(
        f"{event.type}: context.fallback must be true or false, not {json.dumps(asked):.40}", "invalid-event"
    )


def _hops(event: Event) -> tuple[str, ...]:
    """Return the event's ``context.via``: names of the servers that have forwarded the request."""
    given = _context(event).get("via")
    if given is None:
        return ()
    if isinstance(given, list) and all(isinstance(name, str) and len(name) <= LONGEST_NAME for name in given):
        if len(given) > MAX_HOPS:
            raise ProtocolError(
                f"{event.type}: the request was forwarded by {len(given)} servers; the limit is {MAX_HOPS}: "
                "check that --remote-uri makes no loop",
                "loop-detected",
            )
        return tuple(given)
    raise ProtocolError(
        f"{event.type}: context.via must be a list of names of at most {LONGEST_NAME} characters, "
        f"not {json.dumps(given):.40}",
        "invalid-event",
    )


def _caching(event: Event) -> Caching:
    """Return the event's ``context.cache``."""
    asked = _context(event).get("cache")
    if asked is None:
        return Caching.AUTO
    if isinstance(asked, bool):
        return Caching.ON if asked else Caching.OFF
    try:
        return Caching(asked)
    except ValueError:
        known = ", ".join(("true", "false", *(f'"{caching.value}"' for caching in Caching)))
        raise ProtocolError(
            f"{event.type}: context.cache must be one of {known}, not {json.dumps(asked):.40}",
            "invalid-event",
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
