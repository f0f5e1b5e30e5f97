"""What every server on another machine is to the engine that asks it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from ...speech import CustomVoice, Utterance, Voice
from ..base import EngineUnavailableError
from ..supervisor import TICK

_Result = TypeVar("_Result")

ENGINE = "remote"
"""The engine's name, which all its voices have."""
ANSWER = 5.0
"""Seconds for what a server says of itself: Home Assistant waits no longer for that."""


class NoResponseError(EngineUnavailableError):
    """Nobody is there, or nobody who answers: no other request would fare better."""

    code = "remote-unavailable"


class RequestRefusedError(EngineUnavailableError):
    """It answers, but not this request now: nothing is wrong with it."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class Found:
    """What a server says of itself."""

    voices: tuple[Voice, ...] = ()
    identities: dict[str, str] = field(default_factory=dict)
    """By ``Voice.model``: what its sound depends on beside the utterance, as far as the server tells."""
    cloner: str = ""
    """The model that clones voices; empty where there is none."""


class Server(Protocol):
    """A server that speaks. One of them serves many requests at a time."""

    uri: str

    async def look(self) -> Found:
        """Ask it what it has; quick, for it is asked again and again. Raises EngineUnavailableError."""
        raise NotImplementedError

    def clone(self, recorded: CustomVoice, model: str) -> Voice:
        """Return a recording as a voice of its ``cloner``.

        Raises EngineUnavailableError where it cannot be.
        """
        raise NotImplementedError

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``Engine.speak``.

        Raises NoResponseError, RequestRefusedError, EngineUnavailableError or UnsupportedTextError.

        A generator that is closed before its end cancels the work on the other machine.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close connections."""


async def within(seconds: float, work: Awaitable[_Result], error: EngineUnavailableError) -> _Result:
    """Return the result of ``work``; end it, and raise ``error``, where it takes longer.

    Time is counted in ticks: a process that was stopped for a while finds what has arrived meanwhile.
    """
    task = asyncio.ensure_future(work)
    try:
        left = seconds
        while not task.done():
            if left <= 0:
                raise error
            await asyncio.wait({task}, timeout=min(TICK, left))
            left -= TICK
        return await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # whatever became of it, nobody asks any more
