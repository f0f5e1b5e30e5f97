"""The voices of servers on other machines: whoever has least to do is asked, and another one if that fails.

A server is looked at every now and then, and at once after it failed, so that one that is gone is not asked
and one that comes back is. Where none answers the engine has a fault: others speak before anybody has waited
for it, and it is started again, which is to look for the servers, until one is there.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

from ...speech import CustomVoice, Utterance, Voice
from ..base import Engine, EngineUnavailableError, UnsupportedTextError
from ..supervisor import PROBE, TRIPS
from .omni import OmniServer
from .peer import WyomingPeer
from .remembered import Remembered
from .server import ENGINE, Found, NoResponseError, RemoteTimeouts, RequestRefusedError, Server, within

_LOGGER = logging.getLogger(__name__)

LOOK = 15.0
"""Seconds between looks at a server that is well."""
REST = (1.0, 2.0, 5.0, 15.0)
"""Seconds before the next look at one that is not: after the first failure, the second, …"""


@dataclass(slots=True, eq=False)
class Place:
    """A server, and how it is."""

    server: Server
    found: Found = field(default_factory=Found)
    up: bool = False
    reason: str = "nobody has asked it yet"
    """Why it is not asked; what the last failure was where it is."""
    asked: int = 0
    """Requests that it is at."""
    last: int = 0
    """When it was asked last, for those that have equally little to do."""
    row: int = 0
    """Failures since it last did well."""
    spoken: int = 0
    failed: int = 0
    doubtful: bool = False
    """It failed in speech: it is well when it has said a word, and not when it only answers."""
    fell: asyncio.Event = field(default_factory=asyncio.Event)

    def speaks(self, voice: Voice) -> bool:
        """Whether it has the voice's model, and the voice if that is one of its own."""
        if voice.reference is not None:
            return bool(voice.model) and voice.model == self.found.cloner
        return any((v.name, v.model) == (voice.speaker, voice.model) for v in self.found.voices)

    def fails(self, error: EngineUnavailableError) -> None:
        """Note that it did not speak."""
        self.failed += 1
        self.row += 1
        self.reason = str(error)
        if isinstance(error, NoResponseError) or self.row >= TRIPS:  # one failure may be the text's
            self.doubtful = True
            self.falls(str(error))

    def falls(self, reason: str) -> None:
        """Ask it no more, until a look has found it well."""
        if self.up:
            _LOGGER.warning("%s is not asked any more: %s", self.server.uri, reason)
        self.up, self.reason = False, reason
        self.fell.set()


class RemoteEngine(Engine):
    """Servers on other machines, as one engine."""

    name = ENGINE
    starts_in_background = True
    reports_progress = True
    supports_cloning = True

    def __init__(
        self,
        servers: Sequence[Server],
        limits: RemoteTimeouts,
        takes: int,
        remembered: Remembered | None = None,
    ) -> None:
        """``takes``: utterances that all servers together are asked for at a time."""
        self.max_batch_size = takes
        self._limits = limits
        self._places = [Place(server) for server in servers]
        self._voices: tuple[Voice, ...] = ()
        self._remembered = remembered
        self._kept: dict[str, Found] | None = None
        """What is remembered; None where nobody has looked yet."""
        self._keeping = asyncio.Lock()
        self._begun = False
        self._watching: list[asyncio.Task[None]] = []
        self._count = count(1)

    @classmethod
    def of(
        cls,
        uris: Sequence[str],
        limits: RemoteTimeouts,
        takes: int,
        key: str | None = None,
        remembered: Path | None = None,
    ) -> RemoteEngine:
        """Return the engine for servers at these addresses; ``key`` is for those that speak HTTP.

        ``remembered``: the file for what they say of themselves.
        """

        def server(uri: str) -> Server:
            http = uri.startswith(("http://", "https://"))
            return OmniServer(uri, limits, key) if http else WyomingPeer(uri, limits)

        memory = Remembered(remembered) if remembered is not None else None
        return cls([server(uri) for uri in uris], limits, takes, memory)

    # ------------------------------------------------------------------ how it is

    async def find(self) -> None:
        """Remember the servers' voices, or ask for them.

        Raises EngineUnavailableError where nobody knows any.
        """
        await self._remember()
        if any(place.found != Found() for place in self._places):
            return
        await asyncio.gather(*map(self._look, self._places))
        if not any(place.up for place in self._places):
            raise self._nobody()

    async def start(self) -> None:
        """Find the servers, and look after them from now on.

        Raises EngineUnavailableError where none answers.
        """
        self._begun = True
        await self._remember()
        await asyncio.gather(*map(self._look, self._places))
        if not any(place.up for place in self._places):
            raise self._nobody()
        self._watching = [
            asyncio.create_task(self._watch(place), name=f"watch {place.server.uri}")
            for place in self._places
        ]

    async def close(self) -> None:
        """Close connections."""
        watching, self._watching = self._watching, []
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for place in self._places:
            await place.server.close()

    def pulse(self) -> Hashable | None:
        """Return None: who waits for a server waits no longer than its own limits."""
        return None

    def fault(self) -> EngineUnavailableError | None:
        """Return why no server can be asked, if none can."""
        if not self._begun or any(place.up for place in self._places):
            return None
        return self._nobody()

    def _nobody(self) -> EngineUnavailableError:
        return NoResponseError("; ".join(dict.fromkeys(place.reason for place in self._places)))

    def servers(self) -> dict[str, dict[str, Any]]:
        """Return how each server is, by its address: what it is at, and what it has done."""
        return {
            place.server.uri: {
                "up": place.up,
                "reason": place.reason,
                "asked": place.asked,
                "spoken": place.spoken,
                "failed": place.failed,
                "voices": len(place.found.voices),
            }
            for place in self._places
        }

    async def _remember(self) -> None:
        """Let what the servers last said be known, until they say it again."""
        if self._remembered is not None and self._kept is None:
            self._kept = await asyncio.to_thread(self._remembered.read)
            for place in self._places:
                place.found = self._kept.get(place.server.uri, place.found)
            self._list()

    async def _keep(self) -> None:
        """Remember what the servers said, if that is new."""
        async with self._keeping:
            now = {place.server.uri: place.found for place in self._places if place.found != Found()}
            if self._remembered is not None and now != self._kept:
                self._kept = now
                await asyncio.to_thread(self._remembered.keep, now)

    async def _watch(self, place: Place) -> None:
        """Look at a server every now and then, for ever."""
        while True:
            if place.up:
                place.fell.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK):
                        await place.fell.wait()
                        continue
            else:
                await asyncio.sleep(REST[min(max(place.row, 1), len(REST)) - 1])
            await self._look(place)

    async def _look(self, place: Place) -> None:
        """Look at a server: what it has, and whether it answers. Never raises."""
        try:
            found = await place.server.look()
            if place.doubtful:
                await self._probe(place, found)
        except EngineUnavailableError as error:
            place.row += 1
            place.falls(str(error))
        except Exception as error:
            _LOGGER.exception("%s cannot be looked at", place.server.uri)
            place.row += 1
            place.falls(f"{place.server.uri}: {error!r}")
        else:
            if not place.up:
                _LOGGER.info("%s speaks, with %d voices", place.server.uri, len(found.voices))
                place.up, place.doubtful, place.row, place.reason = True, False, 0, ""
            place.found = found
            self._list()
            await self._keep()

    async def _probe(self, place: Place, found: Found) -> None:
        """Let a server say a word, to its first sound. Raises EngineUnavailableError."""
        for voice in found.voices[:1]:
            word = Utterance(PROBE, voice, voice.languages[0], voice.seed)
            with suppress(UnsupportedTextError):  # so it speaks
                async with aclosing(self._paced(place, word)) as sounds:
                    async for _ in sounds:
                        return
                raise EngineUnavailableError(f"{place.server.uri} gave no sound")

    # ------------------------------------------------------------------ voices

    def _list(self) -> None:
        """Note all voices: of two that have one name, that of the server that comes first."""
        voices: dict[str, Voice] = {}
        for place in self._places:
            for voice in place.found.voices:
                voices.setdefault(voice.name, voice)
        self._voices = tuple(voices.values())

    def voices(self) -> Sequence[Voice]:
        """Return the voices of all servers, and of those that do not answer now what they last had."""
        return self._voices

    def clones_with(self) -> Hashable:
        """Return the models that clone voices."""
        return tuple(dict.fromkeys(place.found.cloner for place in self._places if place.found.cloner))

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return a recording as a voice of the first server that clones. Raises EngineUnavailableError."""
        able = [place for place in self._places if place.found.cloner]
        if not able:
            raise EngineUnavailableError("no server of --remote-uri has a Base checkpoint")
        return able[0].server.clone(recorded, able[0].found.cloner)

    async def prepare(self, voices: Sequence[Voice]) -> None:
        """Do nothing: a server is sent a recording with what it is to say, and keeps it."""

    def identity(self, voice: Voice) -> str:
        """Return what the servers say of the voice's model.

        Raises EngineUnavailableError where nobody does.
        """
        for place in self._places:
            if (found := place.found.identities.get(voice.model)) is not None:
                return found
        raise EngineUnavailableError(f"no server has {voice.model}")

    # ------------------------------------------------------------------ speech

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM from the server that has least to do; where it fails at once, from the next one."""
        tried: list[Place] = []
        errors: list[EngineUnavailableError | UnsupportedTextError] = []
        while True:
            place = self._next(utterance.voice, tried)
            if place is None:
                raise errors[0] if errors else self._missing(utterance.voice)
            tried.append(place)
            heard = False
            place.asked += 1
            place.last = next(self._count)
            try:
                async with aclosing(self._paced(place, utterance)) as sounds:
                    async for sound in sounds:
                        heard = True
                        yield sound
            except (EngineUnavailableError, UnsupportedTextError) as error:
                if isinstance(error, EngineUnavailableError) and not isinstance(error, RequestRefusedError):
                    place.fails(error)
                if heard:
                    raise
                _LOGGER.info("%.40r: %s", utterance.text, error)
                errors.append(error)
            else:
                place.row = 0
                place.spoken += 1
                return
            finally:
                place.asked -= 1

    async def _paced(self, place: Place, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield what a server gives. Raises NoResponseError where it takes too long."""
        limit, what = self._limits.connect + self._limits.first, "no sound"
        async with aclosing(place.server.speak(utterance)) as sounds:
            while True:
                late = NoResponseError(f"{place.server.uri} gave {what} for {limit:g} s")
                sound = await within(limit, anext(sounds, None), late)
                if sound is None:
                    return
                yield sound
                limit, what = self._limits.gap, "no more sound"

    def _next(self, voice: Voice, tried: Sequence[Place]) -> Place | None:
        able = [place for place in self._places if place.up and place not in tried and place.speaks(voice)]
        return min(able, key=lambda place: (place.asked, place.last), default=None)

    def _missing(self, voice: Voice) -> EngineUnavailableError:
        if not any(place.up for place in self._places):
            return self._nobody()
        return EngineUnavailableError(f"no server that answers has the voice {voice.speaker}")
