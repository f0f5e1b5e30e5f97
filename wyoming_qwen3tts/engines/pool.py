"""The engines in their order of preference."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence

from ..config.settings import LimitSettings
from ..speech import TextFeed, Utterance
from .base import Engine
from .managed import ManagedEngine, State
from .supervisor import TICK, Supervisor

_LOGGER = logging.getLogger(__name__)


class EnginePool(Mapping[str, Engine]):
    """All engines in order of preference; as a mapping, those whose voices are known, by name."""

    def __init__(
        self,
        engines: Sequence[Engine],
        limits: LimitSettings,
        *,
        fallback: bool = True,
        resume: bool = True,
        on_lost: Callable[[str], object] = lambda reason: None,
    ) -> None:
        """``fallback``: where one engine cannot speak, the next one does. ``on_lost``: see ``Supervisor``.

        ``resume``: finish an utterance whose engine failed in the middle.
        """
        self.fallback = fallback
        self.resume = resume
        self.watchers: list[Callable[[], object]] = []
        """Called whenever the state of an engine changes."""
        is_alone = len(engines) < 2 or not fallback
        self.members = {engine.name: ManagedEngine(engine, limits, self._on_change) for engine in engines}
        self._supervisors = [
            Supervisor(member, is_alone=is_alone, on_lost=on_lost) for member in self.members.values()
        ]
        self._ticker: asyncio.Task[None] | None = None

    def __getitem__(self, name: str) -> Engine:
        if not (member := self.members[name]).knows_voices:
            raise KeyError(name)
        return member.engine

    def __iter__(self) -> Iterator[str]:
        return (name for name, member in self.members.items() if member.knows_voices)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def _on_change(self) -> None:
        for watcher in self.watchers:
            watcher()

    async def start(self) -> None:
        """Start all engines: slow ones in the background, if another one speaks meanwhile."""
        await asyncio.gather(*(each.find() for each in self._supervisors))
        slow = [each for each in self._supervisors if each.is_slow]
        await asyncio.gather(*(each.start() for each in self._supervisors if each not in slow))
        self._ticker = asyncio.create_task(self._tick(), name="engine ticks")
        for each in slow:
            if self.fallback and self.speaking:
                each.start_later()
            else:
                await each.start()

    async def close(self) -> None:
        """Stop all engines."""
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.wait({self._ticker})
        for each in self._supervisors:
            await each.close()

    async def _tick(self) -> None:
        tick = min((each.tick for each in self._supervisors), default=TICK)
        while True:
            await asyncio.sleep(tick)
            for each in self._supervisors:
                try:
                    each.look()
                except Exception:  # a fault in one engine's status must not stop the supervision of others
                    _LOGGER.exception("engine: cannot be supervised engine=%s", each.name)

    @property
    def speaking(self) -> str:
        """The name of the first engine that speaks; empty for none."""
        return next((name for name, each in self.members.items() if each.state is State.UP), "")

    @property
    def preferred(self) -> str:
        """The name of the first engine that has voices; empty for none."""
        return next(iter(self), "")

    def up(self, name: str) -> bool:
        """Return whether an engine speaks."""
        return self.members[name].state is State.UP

    def fallbacks(self, without: Sequence[str]) -> Sequence[str]:
        """Return the names of the engines that may replace others, in order of preference."""
        if not self.fallback:
            return ()
        return [name for name in self if name not in without and self.up(name)]

    async def may_retry(self, name: str) -> bool:
        """Wait until an engine speaks again; return whether what it did not finish may be tried again."""
        return self.resume and await self.members[name].wait_ready()

    def speak(self, utterance: Utterance, text: TextFeed | None = None) -> AsyncGenerator[bytes, None]:
        """Yield the PCM of an utterance from its voice's engine: ``ManagedEngine.speak``."""
        return self.members[utterance.voice.engine].speak(utterance, text)
