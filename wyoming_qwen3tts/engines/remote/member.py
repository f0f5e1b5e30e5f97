"""One server of the remote engine, and its state."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from ...breaker import CircuitBreaker
from ...speech import Voice
from ...telemetry import quote
from ..base import EngineUnavailableError
from ..managed import TRIPS
from .server import NoResponseError, Server, ServerInfo

_LOGGER = logging.getLogger(__name__)


class Member:
    """A server with its circuit breaker: the circuit is open until a look has found it working."""

    def __init__(self, server: Server, rests: Sequence[float]) -> None:
        """``rests``: seconds before the next look after a failure, the second, and so on."""
        self.server = server
        self.found = ServerInfo()
        self.active = 0
        """Requests that it is working on."""
        self.last_used = 0
        """A counter's value, to choose among servers with equally many requests."""
        self.spoken = 0
        self.failed = 0
        self.needs_probe = False
        """It failed in speech: to answer a look is not enough."""
        self.opened = asyncio.Event()
        """Set when the circuit opens."""
        self._breaker = CircuitBreaker(rests, threshold=TRIPS)
        self._breaker.open("it has not been asked yet")

    @property
    def up(self) -> bool:
        """Whether it is used."""
        return not self._breaker.is_open

    @property
    def reason(self) -> str:
        """Why it is not used; the last failure where it is."""
        return self._breaker.reason

    @property
    def rest(self) -> float:
        """Seconds before the next look, where it is not used."""
        return self._breaker.rest

    def speaks(self, voice: Voice) -> bool:
        """Return whether it has the voice's model, and the voice if that is one of its own."""
        if voice.reference is not None:
            return bool(voice.model) and voice.model == self.found.cloning_model
        return any((v.name, v.model) == (voice.speaker, voice.model) for v in self.found.voices)

    def record_speech(self) -> None:
        """Record an utterance that it spoke."""
        self.spoken += 1
        if self.up:
            self._breaker.record_success()

    def record_speech_failure(self, error: EngineUnavailableError) -> None:
        """Record that it did not speak."""
        self.failed += 1
        was_up = self.up
        is_open = self._breaker.record_failure(str(error))
        if isinstance(error, NoResponseError) or is_open:  # a single other failure may be due to the text
            self.needs_probe = True
            self._open(str(error), was_up=was_up)

    def record_look_failure(self, reason: str) -> None:
        """Record that it did not answer a look."""
        was_up = self.up
        if not was_up:
            self._breaker.record_failure(reason)
        self._open(reason, was_up=was_up)

    def record_look(self, found: ServerInfo) -> None:
        """Record its answer to a look."""
        self.found = found
        if not self.up:
            _LOGGER.info("remote: up server=%s voices=%d", self.server.uri, len(found.voices))
            self._breaker.record_success()
            self._breaker.reason = ""
            self.needs_probe = False

    def _open(self, reason: str, *, was_up: bool) -> None:
        if was_up:
            _LOGGER.warning("remote: down server=%s reason=%s", self.server.uri, quote(reason))
        self._breaker.open(reason)
        self.opened.set()
