"""Voices of servers on other machines: the server with the fewest requests speaks, another one if it fails.

Every server is looked at periodically, and at once after it failed, so that one that is gone is not used and
one that comes back is. Where none answers the engine has a fault: other engines speak without a wait, and it
is restarted, which looks for the servers, until one answers.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Hashable, Sequence
from contextlib import aclosing, suppress
from itertools import count
from pathlib import Path
from typing import Any

from ...config.settings import RemoteSettings
from ...speech import CustomVoice, Utterance, Voice
from ...telemetry import quote
from ..base import Engine, EngineUnavailableError, UnsupportedTextError
from ..supervisor import PROBE
from .member import Member
from .omni import OmniServer
from .peer import WyomingPeer
from .server import ENGINE, NoResponseError, RequestRefusedError, Server, ServerInfo, wait_with_timeout
from .server_info_store import ServerInfoStore

_LOGGER = logging.getLogger(__name__)

LOOK_INTERVAL = 15.0
"""Seconds between looks at a server that is up."""
REST = (1.0, 2.0, 5.0, 15.0)
"""Seconds before the next look at one that is down: after the first failure, the second, …"""


class RemoteEngine(Engine):
    """Servers on other machines, as one engine."""

    name = ENGINE
    starts_in_background = True
    reports_progress = True
    supports_cloning = True

    def __init__(self, settings: RemoteSettings, info_file: Path | None = None) -> None:
        """``info_file``: file for the servers' voices, which are then known while the servers are away."""
        self.max_batch_size = settings.remote_max_concurrent_requests
        self._settings = settings
        self._members = [Member(_server(uri, settings), REST) for uri in settings.remote_uri]
        self._voices: tuple[Voice, ...] = ()
        self._info_store = ServerInfoStore(info_file) if info_file is not None else None
        self._stored: dict[str, ServerInfo] | None = None
        """The contents of the file; None before it was read."""
        self._storing = asyncio.Lock()
        self._has_started = False
        self._watching: list[asyncio.Task[None]] = []
        self._uses = count(1)

    # -- state ----------------------------------------------------------------------------------------------

    async def find(self) -> None:
        """Read the servers' voices from the file, or ask for them.

        Raises EngineUnavailableError where neither gives any.
        """
        await self._read_stored()
        if any(member.found != ServerInfo() for member in self._members):
            return
        await self._look_at_all()

    async def start(self) -> None:
        """Find the servers, and watch them from now on.

        Raises EngineUnavailableError where none answers.
        """
        self._has_started = True
        await self._read_stored()
        await self._look_at_all()
        self._watching = [
            asyncio.create_task(self._watch(member), name=f"watch {member.server.uri}")
            for member in self._members
        ]

    async def close(self) -> None:
        """Close connections."""
        watching, self._watching = self._watching, []
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        for member in self._members:
            await member.server.close()

    def pulse(self) -> Hashable | None:
        """Return None: every wait for a server has its own time limit."""
        return None

    def fault(self) -> EngineUnavailableError | None:
        """Return why no server can be used, if none can."""
        if not self._has_started or any(member.up for member in self._members):
            return None
        return self._all_down()

    def _all_down(self) -> EngineUnavailableError:
        return NoResponseError("; ".join(dict.fromkeys(member.reason for member in self._members)))

    def servers(self) -> dict[str, dict[str, Any]]:
        """Return the state of each server, by its address."""
        return {
            member.server.uri: {
                "up": member.up,
                "reason": member.reason,
                "asked": member.active,
                "spoken": member.spoken,
                "failed": member.failed,
                "voices": len(member.found.voices),
            }
            for member in self._members
        }

    # -- looks ----------------------------------------------------------------------------------------------

    async def _look_at_all(self) -> None:
        await asyncio.gather(*map(self._look, self._members))
        if not any(member.up for member in self._members):
            raise self._all_down()

    async def _watch(self, member: Member) -> None:
        """Look at a server periodically, for ever."""
        while True:
            if member.up:
                member.opened.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_INTERVAL):
                        await member.opened.wait()
                        continue
            else:
                await asyncio.sleep(member.rest)
            await self._look(member)

    async def _look(self, member: Member) -> None:
        """Ask a server for its voices, and whether it answers. Never raises."""
        try:
            found = await member.server.fetch_info()
            if member.needs_probe:
                await self._probe(member, found)
        except EngineUnavailableError as error:
            member.record_look_failure(str(error))
        except Exception as error:
            _LOGGER.exception("remote: look failed server=%s", member.server.uri)
            member.record_look_failure(f"{member.server.uri}: {error!r}")
        else:
            member.record_look(found)
            self._collect_voices()
            await self._store()

    async def _probe(self, member: Member, found: ServerInfo) -> None:
        """Let a server speak a word, up to its first audio. Raises EngineUnavailableError."""
        for voice in found.voices[:1]:
            word = Utterance(PROBE, voice, voice.languages[0], voice.seed)
            with suppress(UnsupportedTextError):  # it works, but cannot speak this word
                async with aclosing(member.server.speak(word)) as audio:
                    if await self._next(member, audio, is_first=True) is None:
                        raise EngineUnavailableError(f"{member.server.uri} gave no sound")

    # -- voices ---------------------------------------------------------------------------------------------

    def _collect_voices(self) -> None:
        """Collect the voices: of two with one name, that of the first server."""
        voices: dict[str, Voice] = {}
        for member in self._members:
            for voice in member.found.voices:
                voices.setdefault(voice.name, voice)
        self._voices = tuple(voices.values())

    async def _read_stored(self) -> None:
        """Use the voices of the file, until the servers answer."""
        if self._info_store is not None and self._stored is None:
            self._stored = await asyncio.to_thread(self._info_store.read)
            for member in self._members:
                member.found = self._stored.get(member.server.uri, member.found)
            self._collect_voices()

    async def _store(self) -> None:
        """Write the servers' voices into the file, if they have changed."""
        async with self._storing:
            now = {
                member.server.uri: member.found for member in self._members if member.found != ServerInfo()
            }
            if self._info_store is not None and now != self._stored:
                self._stored = now
                await asyncio.to_thread(self._info_store.write, now)

    def voices(self) -> Sequence[Voice]:
        """Return the voices of all servers; of those that are down the last known ones."""
        return self._voices

    def clones_with(self) -> Hashable:
        """Return the models that clone voices."""
        return tuple(
            dict.fromkeys(
                member.found.cloning_model for member in self._members if member.found.cloning_model
            )
        )

    def clone(self, recorded: CustomVoice) -> Voice:
        """Return a custom voice of the first server that clones. Raises EngineUnavailableError."""
        able = [member for member in self._members if member.found.cloning_model]
        if not able:
            raise EngineUnavailableError("no server of --remote-uri has a Base checkpoint")
        return able[0].server.clone(recorded, able[0].found.cloning_model)

    async def prepare(self, voices: Sequence[Voice]) -> None:
        """Do nothing: a server gets a recording with the text, and keeps it."""

    def identity(self, voice: Voice) -> str:
        """Return what the servers say of the voice's model.

        Raises EngineUnavailableError where none knows it.
        """
        for member in self._members:
            if (found := member.found.identities.get(voice.model)) is not None:
                return found
        raise EngineUnavailableError(f"no server has {voice.model}")

    # -- speech ---------------------------------------------------------------------------------------------

    async def speak(self, utterance: Utterance) -> AsyncGenerator[bytes, None]:
        """Yield PCM from the server with the fewest requests; where it fails without audio, from the next."""
        tried: list[Member] = []
        errors: list[EngineUnavailableError | UnsupportedTextError] = []
        while True:
            member = self._choose(utterance.voice, tried)
            if member is None:
                raise errors[0] if errors else self._missing(utterance.voice)
            tried.append(member)
            has_audio = False
            member.active += 1
            member.last_used = next(self._uses)
            try:
                async with aclosing(member.server.speak(utterance)) as audio:
                    while (chunk := await self._next(member, audio, is_first=not has_audio)) is not None:
                        has_audio = True
                        yield chunk
            except (EngineUnavailableError, UnsupportedTextError) as error:
                if isinstance(error, EngineUnavailableError) and not isinstance(error, RequestRefusedError):
                    member.record_speech_failure(error)
                if has_audio:
                    raise
                _LOGGER.info("remote: failed server=%s reason=%s", member.server.uri, quote(error))
                errors.append(error)
            else:
                member.record_speech()
                return
            finally:
                member.active -= 1

    async def _next(
        self, member: Member, audio: AsyncGenerator[bytes, None], *, is_first: bool
    ) -> bytes | None:
        """Return a server's next chunk, None at the end. Raises NoResponseError where it takes too long."""
        settings = self._settings
        limit, what = settings.remote_gap_timeout, "no more sound"
        if is_first:
            limit, what = settings.remote_connect_timeout + settings.remote_first_timeout, "no sound"
        late = NoResponseError(f"{member.server.uri} gave {what} for {limit:g} s")
        return await wait_with_timeout(limit, anext(audio, None), late)

    def _choose(self, voice: Voice, tried: Sequence[Member]) -> Member | None:
        able = [m for m in self._members if m.up and m not in tried and m.speaks(voice)]
        return min(able, key=lambda member: (member.active, member.last_used), default=None)

    def _missing(self, voice: Voice) -> EngineUnavailableError:
        if not any(member.up for member in self._members):
            return self._all_down()
        return EngineUnavailableError(f"no server that answers has the voice {voice.speaker}")


def _server(uri: str, settings: RemoteSettings) -> Server:
    http = uri.startswith(("http://", "https://"))
    return OmniServer(uri, settings) if http else WyomingPeer(uri, settings)
