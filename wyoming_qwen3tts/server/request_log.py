"""What became of requests, whatever door they came in by: a line of log each, and the last of them."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

from ..audio.pcm import duration
from ..speech import SpeechError, SpeechRequest

_LOGGER = logging.getLogger(__name__)

LAST = 500
"""Requests that are remembered."""
OK, GONE, FAILED = "ok", "gone", "failed"
"""What became of a request: all was sent; the client left; or, for want of an error's own code, it failed."""


@dataclass(frozen=True, slots=True)
class Record:
    """What became of one request. Times are milliseconds; what there was none of is None."""

    id: str
    time: float
    """When it came: seconds since 1970."""
    door: str
    client: str
    voice: str
    engine: str
    language: str
    characters: int
    queue_ms: float
    """How long its sentences waited until their engine began with them."""
    first_audio_ms: float | None
    """From the request to its first sound."""
    synthesis_ms: float
    """How long the sound of its sentences was waited for after that."""
    encode_ms: float
    send_ms: float
    """How long the client was waited for."""
    total_ms: float
    audio_seconds: float
    rtf: float | None
    """Real-time factor: seconds of synthesis for a second of sound, of what was made and not found."""
    cache: str
    """The tier that all of it came from; or miss, part, shared, off (see ``speech.Report.cache``)."""
    outcome: str
    fallback: str = ""
    """Why somebody else spoke than was asked for; empty where nobody did."""

    def __str__(self) -> str:
        first = (
            "no sound" if self.first_audio_ms is None else f"first sound after {self.first_audio_ms:.0f} ms"
        )
        rtf = "" if self.rtf is None else f", RTF {self.rtf:.3f}"
        return (
            f"{self.client or self.door}: spoke {self.characters} characters: {self.outcome}, {first}, "
            f"{self.audio_seconds:.1f} s of sound in {self.total_ms:.0f} ms ({self.voice or 'nobody'}, "
            f"{self.language or 'no language'}, queue {self.queue_ms:.0f} ms, synthesis "
            f"{self.synthesis_ms:.0f} ms{rtf}, send {self.send_ms:.0f} ms, cache {self.cache}, {self.id})"
        )


class Requests:
    """Those that are being answered, and the last that were."""

    def __init__(self, most: float = math.inf, most_of_one: float = math.inf) -> None:
        """At most so many are answered at a time: of all clients, and of one."""
        self.last: deque[Record] = deque(maxlen=LAST)
        """The newest at the end."""
        self.watchers: list[Callable[[Record], object]] = []
        """Told of each when it is over."""
        self._most = most
        self._most_of_one = most_of_one
        self._active: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """How many are being answered."""
        return self._active.total()

    def begin(self, client: str) -> None:
        """Count a client's request that is to be answered. Raises SpeechError (``busy``): it is not."""
        if self.active >= self._most:
            raise SpeechError(
                f"{self.active} requests are being answered already (--max-concurrent-requests)", "busy"
            )
        if (own := self._active[client]) >= self._most_of_one:
            raise SpeechError(
                f"{own} requests of {client or 'this client'} are being answered already "
                "(--max-concurrent-requests-per-client)",
                "busy",
            )
        self._active[client] += 1

    def end(self, client: str) -> None:
        """Count it no more."""
        self._active[client] -= 1
        if not self._active[client]:
            del self._active[client]

    def note(self, record: Record) -> None:
        """Log a request that is over, and remember it for a while."""
        self.last.append(record)
        _LOGGER.info("%s", record, extra={"fields": asdict(record)})
        for watcher in self.watchers:
            watcher(record)


def outcome_of(error: BaseException, gone: str = GONE) -> str:
    """Return what became of a request that ended with ``error``; ``gone`` where nobody wanted the rest."""
    if isinstance(error, SpeechError):
        return error.code
    return gone if isinstance(error, asyncio.CancelledError | GeneratorExit) else FAILED


class RequestLog:
    """What is noted of one request. Its clock starts when it is made."""

    def __init__(self, request: SpeechRequest, requests: Requests, door: str) -> None:
        self._request = request
        self._requests = requests
        self._door = door
        self._time = time.time()
        self._started = time.monotonic()
        self._first: float | None = None
        self._sending = self._encoding = 0.0
        self._counted = False
        self.audio_seconds = 0.0

    def begin(self) -> None:
        """Let it be answered. Raises SpeechError (``busy``)."""
        self._requests.begin(self._request.client)
        self._counted = True

    def sent(self, sound: bytes) -> bool:
        """Count a chunk; tell whether it was the first."""
        self.audio_seconds += duration(sound)
        first = self._first is None
        if self._first is None:
            self._first = time.monotonic() - self._started
        return first

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Count what happens inside as waiting for the client."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._sending += time.monotonic() - began

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Count what happens inside as encoding."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._encoding += time.monotonic() - began

    @property
    def first(self) -> float:
        """Seconds from the request to its first sound; not a number before."""
        return math.nan if self._first is None else self._first

    @property
    def seconds(self) -> float:
        """Seconds since the request."""
        return time.monotonic() - self._started

    def write(self, outcome: str) -> None:
        """Say what became of it; once, at its end."""
        request, report = self._request, self._request.report
        made = report.made
        if self._counted:
            self._requests.end(request.client)
        self._requests.note(
            Record(
                id=report.id,
                time=self._time,
                door=self._door,
                client=request.source,
                voice=report.voice,
                engine=report.engine,
                language=report.language,
                characters=request.text.length,
                queue_ms=_ms(report.queue),
                first_audio_ms=None if self._first is None else _ms(self._first),
                synthesis_ms=_ms(report.synthesis),
                encode_ms=_ms(self._encoding),
                send_ms=_ms(self._sending),
                total_ms=_ms(self.seconds),
                audio_seconds=round(self.audio_seconds, 3),
                rtf=round(report.synthesis / made, 4) if made else None,
                cache=report.cache,
                outcome=outcome,
                fallback=report.fallback,
            )
        )


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 2)
