"""All voices there are, and whether that has changed.

A household adds a recording or edits its styles while the service speaks, and expects to hear it with the
next sentence. So whoever needs to know looks: before a list of voices goes out, and before a name counts as
unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..engines.base import Engine, EngineUnavailableError
from ..speech import CustomVoice, Voice
from .catalog import UnknownVoiceError, VoiceCatalog
from .names import key
from .store import Contents
from .styles import Styles, read

_LOGGER = logging.getLogger(__name__)

GONE, FAREWELL = "gone", 10.0
"""The name of the tasks that tell who went, and the seconds that they may take at the end."""
MANY = 8
"""Names that one line of log lists."""
CLONES = "Qwen/Qwen3-TTS-12Hz-1.7B-Base"
"""A checkpoint that speaks with the voice of a recording."""


class Voices(Protocol):
    """Whoever knows the voices: a Register, or ``Fixed``."""

    @property
    def catalog(self) -> VoiceCatalog:
        """The voices as they were at the last look."""
        raise NotImplementedError

    async def refresh(self) -> None:
        """Look again. Never raises; a caller that is cancelled ends nobody else's look."""
        raise NotImplementedError


class Library(Protocol):
    """The recordings of a household. Both calls touch the disk, so they are made in a thread."""

    def signature(self) -> Hashable:
        """Return something that changes when ``read`` would return something else; cheap."""

    def read(self) -> Contents:
        """Return the voices, and why others are not among them."""
        raise NotImplementedError


class Fixed:
    """Voices that never change."""

    def __init__(self, catalog: VoiceCatalog) -> None:
        self.catalog = catalog

    async def refresh(self) -> None:
        """There is nothing to look at."""


class VoiceRegistry:
    """The voices of engines, of recordings, and in the styles of a file, as they are now."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        store: Library | None,
        styles_path: Path | None,
        default: str | None,
        language: str | None,
        gone: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        """``engines``: started, by name, in the order they are preferred.

        ``default``, ``language``: the default voice's name, or the language (BCP 47) that it is to speak.
        ``gone`` is told the name of every recorded voice that goes.
        """
        self._gone = gone
        self._engines = engines
        self._store = store
        self._styles_path = styles_path
        self._default = default
        self._language = language
        self._catalog: VoiceCatalog | None = None
        self._seen: object = None
        """What the last look found, to be held against what the next one finds."""
        self._reported: frozenset[str] = frozenset()
        self._prepared: frozenset[Voice] = frozenset()
        self._looking = asyncio.Lock()
        self._next: asyncio.Task[None] | None = None
        self._chores: set[asyncio.Task[None]] = set()

    @property
    def catalog(self) -> VoiceCatalog:
        """The voices as they were at the last look: replaced as a whole, never changed. After ``start``."""
        assert self._catalog is not None, "the register has not started"
        return self._catalog

    async def start(self) -> None:
        """Look for the first time.

        Raises UnknownVoiceError where there is none, or none of the default's name.

        Recordings that cannot be read keep nobody else from speaking.
        """
        async with self._looking:
            try:
                await self._look(first=True)
            except UnknownVoiceError:
                raise
            except Exception as error:
                voices = [voice for engine in self._engines.values() for voice in engine.voices()]
                self._catalog = VoiceCatalog(voices, self._default, self._language)
                self._failed(error)

    async def refresh(self) -> None:
        """Look whether anything has changed. Never raises; goes on where its caller is cancelled.

        Callers share a look, but none that began before they called: it may have missed what they know of.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._turn(), name="register")
            self._keep(self._next)
        await asyncio.shield(self._next)

    async def watch(self, seconds: float) -> None:
        """Look every so often, for ever."""
        while True:
            await asyncio.sleep(seconds)
            await self.refresh()

    async def close(self) -> None:
        """End what goes on in the background; before the engines are closed.

        What a voice that went said is forgotten first, within FAREWELL: nobody will remember to.
        """
        farewells = {chore for chore in self._chores if chore.get_name() == GONE}
        if farewells:
            await asyncio.wait(farewells, timeout=FAREWELL)
        for chore in self._chores:
            chore.cancel()
        await asyncio.gather(*self._chores, return_exceptions=True)
        self._next = None

    def _keep(self, chore: asyncio.Task[None]) -> None:
        """Keep a task until it has ended: the event loop does not."""
        self._chores.add(chore)
        chore.add_done_callback(self._chores.discard)

    async def _turn(self) -> None:
        """Wait for the look that is going on, then look."""
        async with self._looking:
            self._next = None  # whoever comes from now on needs another look
            try:
                await self._look()
            except Exception as error:
                self._failed(error)

    def _failed(self, error: Exception) -> None:
        """Log, once, why a look found nothing."""
        line = f"they stay as they are: {str(error) or type(error).__name__}"
        if line not in self._reported:
            expected = isinstance(error, OSError | UnknownVoiceError)
            _LOGGER.warning("Voices: %s", line, exc_info=None if expected else error)
        self._reported |= {line}

    async def _look(self, *, first: bool = False) -> None:
        """Read and build anew what has changed. Raises UnknownVoiceError as ``start``."""
        plain = [voice for engine in self._engines.values() for voice in engine.voices()]
        cloners = [e.clones_with() for e in self._engines.values() if e.supports_cloning]
        found = (*await asyncio.to_thread(self._signature), tuple(plain), tuple(cloners))
        if self._catalog is not None and found == self._seen:
            return
        contents, styles = await asyncio.to_thread(self._read)
        problems = list(styles.problems)
        clones, unusable = self._clones(contents, plain)
        problems += [f"voice {name}: {reason}" for name, reason in unusable.items()]
        # Clones have the place of the engine that speaks them: behind its own voices, before other engines'.
        voices = [v for name, e in self._engines.items() for v in (*e.voices(), *clones[name])]
        catalog = self._build(voices, styles, unusable, problems, first=first)
        problems += catalog.problems
        before, self._catalog, self._seen = self._catalog, catalog, found
        self._report(problems)
        if before is not None:
            _log_changes(before.voices, catalog.voices)
        for name, own in clones.items():
            self._prepare(self._engines[name], own)
        if before is not None and self._gone is not None:
            there = {voice.name for voice in catalog.voices}
            recorded = {voice.speaker for voice in before.voices if voice.reference is not None}
            for name in sorted(recorded - there - unusable.keys()):
                self._keep(asyncio.create_task(self._tell(self._gone, name), name=GONE))

    async def _tell(self, gone: Callable[[str], Awaitable[object]], name: str) -> None:
        await gone(name)

    def _signature(self) -> tuple[Hashable, Hashable]:
        """Return what there is to be read. Runs in a thread."""
        styles: Hashable = None
        if self._styles_path is not None:
            try:
                stat = self._styles_path.stat()
                styles = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except OSError as error:
                styles = error.errno
        return self._store.signature() if self._store is not None else None, styles

    def _read(self) -> tuple[Contents | None, Styles]:
        """Read it. Runs in a thread."""
        styles = read(self._styles_path) if self._styles_path is not None else Styles()
        return self._store.read() if self._store is not None else None, styles

    def _clones(
        self, contents: Contents | None, plain: Sequence[Voice]
    ) -> tuple[Mapping[str, Sequence[Voice]], Mapping[str, str]]:
        """Return the recordings as voices of each engine, and of the others, by name, why they are none."""
        clones: dict[str, list[Voice]] = {name: [] for name in self._engines}
        if contents is None:
            return clones, {}
        unusable = {each.name: each.message for each in contents.problems}
        taken = {key(voice.name): f"{voice.name} of the {voice.engine} engine" for voice in plain}
        for recorded in contents.voices:
            if (other := taken.get(key(recorded.name))) is not None:
                unusable[recorded.name] = f"it is left out, its name is that of {other}"
                continue
            taken[key(recorded.name)] = f"the recorded voice {recorded.name}"
            try:
                voice = self._clone(recorded)
                clones[voice.engine].append(voice)
            except EngineUnavailableError as error:
                unusable[recorded.name] = f"nobody can speak with it: {error}"
        return clones, unusable

    def _clone(self, recorded: CustomVoice) -> Voice:
        """Return a recording as a voice of the first engine that can. Raises EngineUnavailableError."""
        reason: EngineUnavailableError | None = None
        for engine in self._engines.values():
            if not engine.supports_cloning:
                continue
            try:
                return engine.clone(recorded)
            except EngineUnavailableError as error:
                reason = reason or error
        raise reason or EngineUnavailableError(f"that needs a Base checkpoint: --model {CLONES}")

    def _build(
        self,
        voices: Sequence[Voice],
        styles: Styles,
        unusable: Mapping[str, str],
        problems: list[str],
        *,
        first: bool,
    ) -> VoiceCatalog:
        # A default that nobody chose stays who it is, whoever joins: pipelines were set up with it.
        prefer = None if self._catalog is None else self._catalog.default.name
        reasons = {name: f"voice {name}: {reason}" for name, reason in unusable.items()}
        try:
            return VoiceCatalog(
                voices, self._default, self._language, styles=styles, prefer=prefer, unusable=reasons
            )
        except UnknownVoiceError as error:
            if first or not voices:
                raise
            catalog = VoiceCatalog(voices, None, self._language, styles=styles, unusable=reasons)
            problems.append(f"the default is gone ({error}); {catalog.default.name} speaks in its place")
            return catalog

    def _report(self, problems: Sequence[str]) -> None:
        """Log what was not said yet; what has gone and comes again is said again."""
        for problem in dict.fromkeys(problems):
            if problem not in self._reported:
                _LOGGER.warning("Voices: %s", problem)
        self._reported = frozenset(problems)

    def _prepare(self, engine: Engine, clones: Sequence[Voice]) -> None:
        """Let an engine make ready, in the background, what is new of its clones."""
        own = frozenset(clones)
        new = [voice for voice in clones if voice not in self._prepared]
        self._prepared = frozenset(v for v in self._prepared if v.engine != engine.name) | own
        if new and engine.supports_cloning:
            self._keep(asyncio.create_task(_prepare(engine, new), name="prepare"))


async def _prepare(engine: Engine, voices: Sequence[Voice]) -> None:
    try:
        await engine.prepare(voices)
    except Exception:
        _LOGGER.warning("Voices: not made ready: %s", ", ".join(v.name for v in voices), exc_info=True)


def _log_changes(before: Sequence[Voice], after: Sequence[Voice]) -> None:
    """Log which voices came, changed and went."""
    old = {voice.name: voice for voice in before}
    new = {voice.name: voice for voice in after}
    changes = {
        "new": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "gone": [name for name in old if name not in new],
    }
    for what, names in changes.items():
        if names:
            more = f" and {len(names) - MANY} more" if len(names) > MANY else ""
            _LOGGER.info("Voices: %s: %s%s", what, ", ".join(names[:MANY]), more)
