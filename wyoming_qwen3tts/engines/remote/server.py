"""The interface of remote servers, their errors, and a timeout for their responses."""

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
"""Name of the remote engine, which all its voices have."""
RESPONSE_TIMEOUT = 5.0
"""Seconds to wait for a server's voices; Home Assistant waits as long."""


class NoResponseError(EngineUnavailableError):
    """A server cannot be reached or does not respond: any other request would fail, too."""

    code = "remote-unavailable"


class RequestRefusedError(EngineUnavailableError):
    """A server works, but refuses this request now."""

    code = "busy"


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """A server's voices and models."""

    voices: tuple[Voice, ...] = ()
    identities: dict[str, str] = field(default_factory=dict)
    """By ``Voice.model``: what the audio depends on beside the utterance, as far as it is known."""
    cloning_model: str = ""
    """The model that clones voices; empty for none."""


class Server(Protocol):
    """A remote speech server. It handles many requests at a time."""

    uri: str

    async def fetch_info(self) -> ServerInfo:
        """Request voices and models; called periodically, so it is cheap. Raises EngineUnavailableError."""
        raise NotImplementedError

    def clone(self, recorded: CustomVoice, model: str) -> Voice:
        """Return a recording as a voice of its ``cloning_model``.

        Raises EngineUnavailableError where it cannot be.
        """
        raise NotImplementedError

    def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM as ``Engine.speak``.

        Raises NoResponseError, RequestRefusedError, EngineUnavailableError or UnsupportedTextError. Closing
        the generator cancels the request on the server.
        """
        raise NotImplementedError

    async def close(self) -> None:
        """Close connections."""


async def wait_with_timeout(
    seconds: float, work: Awaitable[_Result], error: EngineUnavailableError
) -> _Result:
    """Return the result of ``work``; after ``seconds``, cancel it and raise ``error``.

    Time is counted in ticks of the event loop: after a pause of the whole process, responses that arrived
    meanwhile are still read.
    """
    task = asyncio.ensure_future(work)
    try:
        remaining = seconds
        while not task.done():
            if remaining <= 0:
                raise error
            await asyncio.wait({task}, timeout=min(TICK, remaining))
            remaining -= TICK
        return await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # mark it as retrieved
