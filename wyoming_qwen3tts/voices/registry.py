"""The voice registry: all voices as they are now, kept up to date while the service runs.

Users add recordings and edit styles while the service runs, and expect to hear them with the next sentence.
So the registry is refreshed before a list of voices is sent, and before a name counts as unknown.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from ..engines.base import Engine, EngineUnavailableError
from ..speech import CustomVoice, Voice
from ..telemetry import quote
from .catalog import UnknownVoiceError, VoiceCatalog
from .names import name_key
from .store_reader import StoreContents
from .styles import Styles, read_styles

_LOGGER = logging.getLogger(__name__)

REMOVAL_TASK, REMOVAL_TIMEOUT = "voice removal", 10.0
"""Name of the tasks that call ``on_removed``, and the seconds that they have when the service stops."""
LOGGED_NAMES = 8
"""Names in one log line."""
CLONING_MODEL = "Qwen/Qwen3-TTS-12Hz-1.7B-Base"
"""A checkpoint that can clone voices."""


class Voices(Protocol):
    """The current voices: a ``VoiceRegistry``, or ``StaticVoices``."""

    @property
    def catalog(self) -> VoiceCatalog:
        """The voices as of the last refresh."""
        raise NotImplementedError

    async def refresh(self) -> None:
        """Update the catalog. Never raises; a caller's cancellation does not affect other callers."""
        raise NotImplementedError


class CustomVoiceSource(Protocol):
    """Custom voices, such as the store's. Its methods block, so they are called in a thread."""

    def signature(self) -> Hashable:
        """Return a value that changes when ``read`` would return something else; cheap."""

    def read(self) -> StoreContents:
        """Return the voices, and the problems of others."""
        raise NotImplementedError


class StaticVoices:
    """Voices that never change."""

    def __init__(self, catalog: VoiceCatalog) -> None:
        self.catalog = catalog

    async def refresh(self) -> None:
        """Do nothing."""


class VoiceRegistry:
    """The voices of engines, the custom voices, and their styles, as they are now."""

    def __init__(
        self,
        engines: Mapping[str, Engine],
        store: CustomVoiceSource | None,
        styles_path: Path | None,
        default: str | None,
        language: str | None,
        on_removed: Callable[[str], Awaitable[object]] | None = None,
    ) -> None:
        """``engines``: started, by name, in the order of preference.

        ``default``, ``language``: the default voice's name, or the language (BCP 47) that it is to speak.
        ``on_removed`` is called with the name of every custom voice that is removed.
        """
        self._on_removed = on_removed
        self._engines = engines
        self._store = store
        self._styles_path = styles_path
        self._default = default
        self._language = language
        self._catalog: VoiceCatalog | None = None
        self._signature: object = None
        """Of everything that the catalog was built from."""
        self._reported: frozenset[str] = frozenset()
        """Problems that were logged."""
        self._prepared: frozenset[Voice] = frozenset()
        """Clones that engines have prepared, or are preparing."""
        self._lock = asyncio.Lock()
        self._next_refresh: asyncio.Task[None] | None = None
        """A refresh that has not begun yet."""
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def catalog(self) -> VoiceCatalog:
        """The voices as of the last refresh, an immutable snapshot. Valid after ``start``."""
        assert self._catalog is not None, "the registry has not started"
        return self._catalog

    async def start(self) -> None:
        """Build the first catalog; without custom voices and styles if these fail to load.

        Raises UnknownVoiceError if there is no voice, or none with the default's name.
        """
        async with self._lock:
            try:
                await self._update(first=True)
            except UnknownVoiceError:
                raise
            except Exception as error:
                voices = [voice for engine in self._engines.values() for voice in engine.voices()]
                self._catalog = VoiceCatalog(voices, self._default, self._language)
                self._report_failure(error)

    async def refresh(self) -> None:
        """Update the catalog if something has changed. Never raises; continues if its caller is cancelled.

        Callers share a refresh, but only one that begins after their calls: one that is running may miss
        their change.
        """
        if self._next_refresh is None:
            self._next_refresh = asyncio.create_task(self._refresh(), name="voice registry")
            self._add_task(self._next_refresh)
        await asyncio.shield(self._next_refresh)

    async def watch(self, interval: float) -> None:
        """Refresh every ``interval`` seconds, for ever."""
        while True:
            await asyncio.sleep(interval)
            await self.refresh()

    async def close(self) -> None:
        """End all tasks; call it before the engines are closed.

        ``on_removed`` is waited for, up to REMOVAL_TIMEOUT: after a restart it would not be called.
        """
        removals = {task for task in self._tasks if task.get_name() == REMOVAL_TASK}
        if removals:
            await asyncio.wait(removals, timeout=REMOVAL_TIMEOUT)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._next_refresh = None

    def _add_task(self, task: asyncio.Task[None]) -> None:
        """Hold a reference to a task until it has ended; the event loop does not."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- updating -------------------------------------------------------------------------------------------

    async def _refresh(self) -> None:
        """Wait for the update that is running, then update."""
        async with self._lock:
            self._next_refresh = None  # later callers need a later update
            try:
                await self._update()
            except Exception as error:
                self._report_failure(error)

    async def _update(self, *, first: bool = False) -> None:
        """Build a new catalog if something has changed. Raises UnknownVoiceError as ``start``."""
        plain = [voice for engine in self._engines.values() for voice in engine.voices()]
        cloners = [e.clones_with() for e in self._engines.values() if e.supports_cloning]
        signature = (*await asyncio.to_thread(self._read_signature), tuple(plain), tuple(cloners))
        if self._catalog is not None and signature == self._signature:
            return
        contents, styles = await asyncio.to_thread(self._read)
        problems = list(styles.problems)
        clones, unusable = self._clones(contents, plain)
        problems += [f"voice {name}: {reason}" for name, reason in unusable.items()]
        # Clones come after their engine's own voices, and before those of the next engine.
        voices = [v for name, e in self._engines.items() for v in (*e.voices(), *clones[name])]
        catalog = self._build(voices, styles, unusable, problems, first=first)
        problems += catalog.problems
        before, self._catalog, self._signature = self._catalog, catalog, signature
        self._report(problems)
        if before is not None:
            _log_changes(before.voices, catalog.voices)
        for name, own in clones.items():
            self._prepare(self._engines[name], own)
        if before is not None and self._on_removed is not None:
            remaining = {voice.name for voice in catalog.voices}
            cloned = {voice.speaker for voice in before.voices if voice.reference is not None}
            for name in sorted(cloned - remaining - unusable.keys()):
                task = asyncio.create_task(_call(self._on_removed, name), name=REMOVAL_TASK)
                self._add_task(task)

    def _read_signature(self) -> tuple[Hashable, Hashable]:
        """Return the signatures of custom voices and styles. Blocks."""
        styles: Hashable = None
        if self._styles_path is not None:
            try:
                stat = self._styles_path.stat()
                styles = (stat.st_ino, stat.st_mtime_ns, stat.st_size)
            except OSError as error:
                styles = error.errno
        return self._store.signature() if self._store is not None else None, styles

    def _read(self) -> tuple[StoreContents | None, Styles]:
        """Return custom voices and styles. Blocks."""
        styles = read_styles(self._styles_path) if self._styles_path is not None else Styles()
        return self._store.read() if self._store is not None else None, styles

    def _build(
        self,
        voices: Sequence[Voice],
        styles: Styles,
        unusable: Mapping[str, str],
        problems: list[str],
        *,
        first: bool,
    ) -> VoiceCatalog:
        # A default that is not configured stays the same when voices are added: clients rely on it.
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
            problems.append(f"the default voice was removed ({error}); {catalog.default.name} replaces it")
            return catalog

    # -- clones ---------------------------------------------------------------------------------------------

    def _clones(
        self, contents: StoreContents | None, plain: Sequence[Voice]
    ) -> tuple[Mapping[str, Sequence[Voice]], Mapping[str, str]]:
        """Return the custom voices as voices of each engine; and of those that cannot be used, name → why."""
        clones: dict[str, list[Voice]] = {name: [] for name in self._engines}
        if contents is None:
            return clones, {}
        unusable = {each.name: each.message for each in contents.problems}
        taken = {name_key(voice.name): f"{voice.name} of the {voice.engine} engine" for voice in plain}
        for custom in contents.voices:
            if (other := taken.get(name_key(custom.name))) is not None:
                unusable[custom.name] = f"it is left out, since it has the same name as {other}"
                continue
            taken[name_key(custom.name)] = f"the custom voice {custom.name}"
            try:
                voice = self._clone(custom)
                clones[voice.engine].append(voice)
            except EngineUnavailableError as error:
                unusable[custom.name] = f"no engine can speak with it: {error}"
        return clones, unusable

    def _clone(self, custom: CustomVoice) -> Voice:
        """Return a custom voice as a voice of the first engine that can clone it.

        Raises EngineUnavailableError.
        """
        reason: EngineUnavailableError | None = None
        for engine in self._engines.values():
            if not engine.supports_cloning:
                continue
            try:
                return engine.clone(custom)
            except EngineUnavailableError as error:
                reason = reason or error
        raise reason or EngineUnavailableError(f"that needs a Base checkpoint: --model {CLONING_MODEL}")

    def _prepare(self, engine: Engine, clones: Sequence[Voice]) -> None:
        """Let an engine prepare its new clones, in the background."""
        own = frozenset(clones)
        new = [voice for voice in clones if voice not in self._prepared]
        self._prepared = frozenset(v for v in self._prepared if v.engine != engine.name) | own
        if new and engine.supports_cloning:
            self._add_task(asyncio.create_task(_prepare(engine, new), name="prepare"))

    # -- logging --------------------------------------------------------------------------------------------

    def _report(self, problems: Sequence[str]) -> None:
        """Log problems that are new since the last update."""
        for problem in dict.fromkeys(problems):
            if problem not in self._reported:
                _LOGGER.warning("voices: problem reason=%s", quote(problem))
        self._reported = frozenset(problems)

    def _report_failure(self, error: Exception) -> None:
        """Log why an update failed, once until one succeeds."""
        reason = str(error) or type(error).__name__
        if reason not in self._reported:
            expected = isinstance(error, OSError | UnknownVoiceError)
            fact = "voices: update failed, the voices stay unchanged reason=%s"
            _LOGGER.warning(fact, quote(reason), exc_info=None if expected else error)
        self._reported |= {reason}


async def _call(function: Callable[[str], Awaitable[object]], name: str) -> None:
    await function(name)


async def _prepare(engine: Engine, voices: Sequence[Voice]) -> None:
    try:
        await engine.prepare(voices)
    except Exception:
        fact = "voices: preparation failed names=%s"
        _LOGGER.warning(fact, quote(", ".join(v.name for v in voices)), exc_info=True)


def _log_changes(before: Sequence[Voice], after: Sequence[Voice]) -> None:
    """Log which voices were added, changed and removed."""
    old = {voice.name: voice for voice in before}
    new = {voice.name: voice for voice in after}
    changes = {
        "added": [name for name in new if name not in old],
        "changed": [name for name in new if name in old and new[name] != old[name]],
        "removed": [name for name in old if name not in new],
    }
    for change, names in changes.items():
        if names:
            more = f" and {len(names) - LOGGED_NAMES} more" if len(names) > LOGGED_NAMES else ""
            _LOGGER.info("voices: %s names=%s", change, quote(", ".join(names[:LOGGED_NAMES]) + more))
