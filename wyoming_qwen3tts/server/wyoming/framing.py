"""Wyoming events on the wire, parsed with limits and without I/O.

An event is a line of JSON, ``{"type": …, "data": {…}, "data_length": N, "payload_length": M}``, then N bytes
of JSON that are merged into ``data``, then M bytes of payload. The wyoming
package's own reader does not check these numbers; a server has to.
"""

from __future__ import annotations

import json
from typing import Any

from wyoming.event import Event
from wyoming.version import __version__ as WYOMING_VERSION

from ...speech import CHANNELS, SAMPLE_RATE, SAMPLE_WIDTH, SpeechError


class ProtocolError(SpeechError):
    """An event that violates the protocol.

    ``fatal``: the rest of the input cannot be parsed or answered, so the connection has to end.
    """

    code = "protocol-error"

    def __init__(self, message: str, code: str, *, fatal: bool = True) -> None:
        super().__init__(message, code)
        self.fatal = fatal


class EventParser:
    """Parses bytes into events. Buffers at most one incomplete event, of at most ``max_bytes``."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._buffer = bytearray()
        self._line_scanned = 0
        self._header: dict[str, Any] | None = None
        self._data_length = 0
        self._payload_length = 0

    @property
    def in_event(self) -> bool:
        """True while an event is incomplete."""
        return self._header is not None or bool(self._buffer)

    def feed(self, data: bytes) -> None:
        """Add input; ``pop`` returns the events in it."""
        self._buffer += data

    def pop(self) -> Event | None:
        """Return the next complete event, None if there is none yet.

        Raises ProtocolError, always fatal: the parser cannot be used after it.
        """
        while self._header is None:
            line = self._pop_line()
            if line is None:
                return None
            if line.strip():
                self._header = self._parse_header(line)
        if len(self._buffer) < self._data_length + self._payload_length:
            return None
        header, self._header = self._header, None
        data: dict[str, Any] = header.get("data") or {}
        if self._data_length:
            data = {**data, **_parse_object(self._take(self._data_length), "event data")}
        payload = self._take(self._payload_length) or None
        return Event(type=header["type"], data=data, payload=payload)

    def _pop_line(self) -> bytes | None:
        end = self._buffer.find(b"\n", self._line_scanned)
        if end < 0:
            self._line_scanned = len(self._buffer)
            if self._line_scanned > self._max_bytes:
                raise self._too_large(f"no end of line in {self._line_scanned} bytes")
            return None
        self._line_scanned = 0
        return self._take(end + 1)

    def _parse_header(self, line: bytes) -> dict[str, Any]:
        header = _parse_object(line, "event")
        if not isinstance(header.get("type"), str) or not header["type"]:
            raise ProtocolError("the event's type must be a string that is not empty", "invalid-event")
        if not isinstance(header.get("data") or {}, dict):
            raise ProtocolError(f"the data of {header['type'][:40]!r} must be an object", "invalid-event")
        self._data_length = _length(header, "data_length")
        self._payload_length = _length(header, "payload_length")
        declared = self._data_length + self._payload_length
        if declared > self._max_bytes:
            raise self._too_large(f"{header['type'][:40]!r} declares {declared} bytes")
        return header

    def _too_large(self, what: str) -> ProtocolError:
        return ProtocolError(f"{what}; the limit is {self._max_bytes} (--max-event-bytes)", "event-too-large")

    def _take(self, count: int) -> bytes:
        taken = bytes(memoryview(self._buffer)[:count])
        del self._buffer[:count]
        return taken


def _parse_object(text: bytes, what: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        shown = text[:40].decode(errors="replace").strip()
        raise ProtocolError(f"{what} is not JSON: {shown!r} ({error})", "invalid-json") from error
    if not isinstance(value, dict):
        raise ProtocolError(f"{what} must be a JSON object, not {type(value).__name__}", "invalid-json")
    return value


def _length(header: dict[str, Any], key: str) -> int:
    value = header.get(key)
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ProtocolError(
            f"{key} must be a whole number of bytes, not {str(value)[:40]!r}", "invalid-event"
        )
    return value


def encode(event: Event) -> bytes:
    """Return ``event`` as bytes."""
    header: dict[str, Any] = {"type": event.type, "version": WYOMING_VERSION}
    data = json.dumps(event.data, ensure_ascii=False).encode(errors="replace") if event.data else b""
    payload = event.payload or b""
    if data:
        header["data_length"] = len(data)
    if payload:
        header["payload_length"] = len(payload)
    return b"".join((json.dumps(header).encode(), b"\n", data, payload))


_AUDIO_HEADER = (
    json.dumps({"type": "audio-chunk", "version": WYOMING_VERSION}).encode()[:-1]
    + b', "data_length": %d, "payload_length": %d}\n'
)
_AUDIO_DATA = (
    json.dumps({"rate": SAMPLE_RATE, "width": SAMPLE_WIDTH, "channels": CHANNELS}).encode()[:-1]
    + b', "timestamp": %d}'
)


def encode_audio_chunk(pcm: bytes, timestamp: int) -> bytes:
    """Return an ``audio-chunk`` as ``encode`` does, ten times as fast: nearly all events sent are these.

    ``timestamp``: milliseconds.
    """
    data = _AUDIO_DATA % timestamp
    return b"".join((_AUDIO_HEADER % (len(data), len(pcm)), data, pcm))
