"""Admission control, and the log and history of requests, shared by all servers."""

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
from ..pipeline.outcome import Outcome
from ..speech import SpeechError, SpeechRequest
from ..telemetry import quote

_LOGGER = logging.getLogger(__name__)

HISTORY_SIZE = 500
"""Finished requests kept in memory."""
OK, GONE, FAILED = "ok", "gone", "failed"
"""Outcomes of a request: all audio was sent; the client disconnected; an error without a code of its own."""


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """What happened to one request. Times are seconds; None where there is no value.

    The attributes' names are those of the JSON log and of ``/v1/requests``, and those of the metrics and
    their labels without the prefix.
    """

    id: str
    time: float
    """When the request arrived: seconds since 1970."""
    api: str
    """The interface it came in by: wyoming, http or prerender."""
    client: str
    voice: str
    engine: str
    language: str
    characters: int
    queue_seconds: float
    """Time its utterances waited until their engine started them."""
    first_audio_seconds: float | None
    """Time to first audio, from the arrival of the request."""
    synthesis_seconds: float
    """Time spent waiting for the engine's audio after that."""
    encode_seconds: float
    send_seconds: float
    """Time spent waiting for the client to read."""
    total_seconds: float
    audio_seconds: float
    real_time_factor: float | None
    """Seconds of synthesis per second of synthesized audio; cached audio does not count."""
    cache: str
    """The cache tier that all audio came from; or miss, part, shared, off: ``pipeline.outcome``."""
    outcome: str
    fallback: str = ""
    """Why another voice or engine was used than requested; empty if none was."""

    def __str__(self) -> str:
        facts = {
            "voice": self.voice,
            "language": self.language,
            "chars": self.characters,
            "ttfa": _milliseconds(self.first_audio_seconds),
            "queue": _milliseconds(self.queue_seconds),
            "synthesis": _milliseconds(self.synthesis_seconds),
            "send": _milliseconds(self.send_seconds),
            "total": _milliseconds(self.total_seconds),
            "audio": f"{self.audio_seconds:.1f}s",
            "rtf": None if self.real_time_factor is None else f"{self.real_time_factor:.3f}",
            "cache": self.cache,
            "client": self.client,
            "id": self.id,
        }
        if self.client == self.api:
            del facts["client"]  # HTTP requests have no other source than the interface
        return f"{self.api}: {self.outcome} " + " ".join(f"{key}={quote(facts[key])}" for key in facts)


class AdmissionControl:
    """Counts the requests in progress, and rejects those over a limit."""

    def __init__(self, limit: float = math.inf, limit_per_client: float = math.inf) -> None:
        """``limit``: requests in progress at a time, of all clients; ``limit_per_client``: of one."""
        self._limit = limit
        self._limit_per_client = limit_per_client
        self._active: Counter[str] = Counter()

    @property
    def active(self) -> int:
        """Number of requests in progress."""
        return self._active.total()

    def admit(self, client: str) -> None:
        """Count a request as in progress. Raises SpeechError (``busy``) if that is one too many."""
        if self.active >= self._limit:
            raise SpeechError(
                f"{self.active} requests are in progress, the most allowed (--max-concurrent-requests); "
                "try again later",
                "busy",
            )
        if (own := self._active[client]) >= self._limit_per_client:
            raise SpeechError(
                f"{own} requests of {client or 'this client'} are in progress, the most allowed "
                "(--max-concurrent-requests-per-client); try again later",
                "busy",
            )
        self._active[client] += 1

    def release(self, client: str) -> None:
        """Count an admitted request as finished."""
        self._active[client] -= 1
        if not self._active[client]:
            del self._active[client]


class RequestHistory:
    """Logs finished requests, keeps the last ones, and passes them to observers such as the metrics."""

    def __init__(self) -> None:
        self.records: deque[RequestRecord] = deque(maxlen=HISTORY_SIZE)
        """The newest is last."""
        self.observers: list[Callable[[RequestRecord], object]] = []
        """Called with every finished request."""

    def add(self, record: RequestRecord) -> None:
        """Log and keep the record of a finished request."""
        self.records.append(record)
        _LOGGER.info("%s", record, extra={"fields": asdict(record)})
        for observer in self.observers:
            observer(record)


def outcome_of(error: BaseException, gone: str = GONE) -> str:
    """Return the outcome of a request that ended with ``error``. ``gone``: the outcome of a cancelled one."""
    if isinstance(error, SpeechError):
        return error.code
    return gone if isinstance(error, asyncio.CancelledError | GeneratorExit) else FAILED


class RequestLog:
    """Measures one request from its creation on, and records it at its end."""

    def __init__(
        self, request: SpeechRequest, admission: AdmissionControl, history: RequestHistory, interface: str
    ) -> None:
        """``interface``: what the request came in by, such as ``wyoming``."""
        self._request = request
        self._admission = admission
        self._history = history
        self._interface = interface
        self._time = time.time()
        self._started = time.monotonic()
        self._sending = self._encoding = 0.0
        self._admitted = False
        self.audio_seconds = 0.0
        self.outcome = Outcome()
        """The outcome of its speech; set it when that begins."""

    def begin(self) -> None:
        """Admit the request. Raises SpeechError (``busy``)."""
        self._admission.admit(self._request.client)
        self._admitted = True

    def add_audio(self, pcm: bytes) -> bool:
        """Count an audio chunk; return whether it was the first."""
        first = not self.audio_seconds
        self.audio_seconds += duration(pcm)
        return first

    @contextmanager
    def sending(self) -> Iterator[None]:
        """Count the time inside as waiting for the client."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._sending += time.monotonic() - began

    @contextmanager
    def encoding(self) -> Iterator[None]:
        """Count the time inside as encoding."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._encoding += time.monotonic() - began

    @property
    def first_audio(self) -> float:
        """Time to first audio in seconds; NaN before."""
        return math.nan if self.outcome.first_audio is None else self.outcome.first_audio

    @property
    def elapsed(self) -> float:
        """Seconds since the request arrived."""
        return time.monotonic() - self._started

    def write(self, outcome: str) -> None:
        """Record the request with its outcome. Call once."""
        request, speech = self._request, self.outcome
        if self._admitted:
            self._admission.release(request.client)
        self._history.add(
            RequestRecord(
                id=request.id,
                time=self._time,
                api=self._interface,
                client=request.source,
                voice=speech.voice,
                engine=speech.engine,
                language=speech.language,
                characters=request.text.length,
                queue_seconds=_rounded(speech.queue),
                first_audio_seconds=None if speech.first_audio is None else _rounded(speech.first_audio),
                synthesis_seconds=_rounded(speech.synthesis),
                encode_seconds=_rounded(self._encoding),
                send_seconds=_rounded(self._sending),
                total_seconds=_rounded(self.elapsed),
                audio_seconds=round(self.audio_seconds, 3),
                real_time_factor=round(speech.synthesis / speech.made, 4) if speech.made else None,
                cache=speech.cache,
                outcome=outcome,
                fallback=speech.fallback,
            )
        )


def _rounded(seconds: float) -> float:
    return round(seconds, 5)


def _milliseconds(seconds: float | None) -> str | None:
    return None if seconds is None else f"{seconds * 1000:.0f}ms"
