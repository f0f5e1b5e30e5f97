"""Many texts spoken for one client: a few at a time, in their order, and how far it is."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ...audio.encode import Format
from ...speech import SpeechError, SpeechRequest, internal_error
from .archives import Archive, Given, Member, stem
from .audio_response import AudioResponse
from .context import AppContext
from .errors import STATUS, body
from .whole import WholeFile, threaded

AT_A_TIME = 4
"""Texts that are spoken at a time."""
AHEAD = 8
"""Texts that are begun, or finished and wait for those before them. They take room: so they have no more
characters together than one text may have."""
REMEMBERED = 100
"""Batches that are remembered, beside those that go on."""
RUNNING, DONE, BROKEN_OFF = "running", "done", "broken-off"
"""How a batch is: it goes on; all of it was sent, or nothing of it could be said; it has no end."""
LASTING = {"stopping"}
"""Codes of errors after which nothing else will do better."""

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class Progress:
    """How far a batch is."""

    id: str
    total: int
    done: int = 0
    """Texts that are over, those that failed too."""
    failed: int = 0
    seconds: float = 0.0
    """Of sound so far."""
    state: str = RUNNING


class Batches:
    """Those that go on, and the last that did."""

    def __init__(self) -> None:
        self._known: dict[str, Progress] = {}
        """The oldest first."""

    def begin(self, name: str, total: int) -> Progress:
        """Return the progress of a new batch. Raises SpeechError where another of its name goes on."""
        before = self._known.pop(name, None)
        if before is not None and before.state == RUNNING:
            self._known[name] = before
            raise SpeechError(f"a batch {name} is going on", "duplicate-id")
        over = [each for each in self._known.values() if each.state != RUNNING]
        for each in over[: max(0, len(over) - REMEMBERED + 1)]:
            del self._known[each.id]
        self._known[name] = Progress(name, total)
        return self._known[name]

    def find(self, name: str) -> Progress | None:
        """Return how far a batch is; None where nobody knows it."""
        return self._known.get(name)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One text of a batch."""

    number: int
    """From 1."""
    text: str
    name: str
    """What its file is called after."""
    voice: str | None
    request: Callable[[], SpeechRequest]
    """Raises SpeechError."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """What became of one text: a file, or why there is none."""

    wanted: Wanted
    file: WholeFile | None = None
    voice: str = ""
    seconds: float = 0.0
    cache: str = ""
    error: SpeechError | None = None


class Making:
    """A batch on its way into an archive: ``begin``, then ``pieces``; ``close`` in any case."""

    def __init__(
        self,
        context: AppContext,
        wanted: Sequence[Wanted],
        form: Format,
        archive: Archive,
        progress: Progress,
    ) -> None:
        self._context = context
        self._left = deque(wanted)
        self._digits = max(4, len(str(len(wanted))))
        self._form = form
        self._archive = archive
        self._progress = progress
        self._turns = asyncio.Semaphore(AT_A_TIME)
        self._tasks: deque[asyncio.Task[Spoken]] = deque()
        """In the order of their texts."""
        self._held = 0
        """Characters of those."""
        self._ready: deque[Spoken] = deque()
        self._index: list[dict[str, Any]] = []

    async def begin(self) -> None:
        """Wait for the first text that can be said. Raises the first one's SpeechError where none can."""
        while (spoken := await self._next()) is not None:
            self._ready.append(spoken)
            if spoken.error is None:
                return
        self._progress.state = DONE
        first = self._ready[0].error
        assert first is not None
        raise first

    async def pieces(self) -> AsyncGenerator[bytes, None]:
        """Yield the archive, after ``begin``. Raises SpeechError where it cannot be whole: it has no end."""
        while self._ready:
            spoken = self._ready[0]  # it stays there meanwhile, for close
            async with aclosing(threaded(self._archive.add(self._member(spoken)))) as pieces:
                async for piece in pieces:
                    yield piece
            self._ready.popleft()
            _drop(spoken)
            if not self._ready and (following := await self._next()) is not None:
                self._ready.append(following)
        async with aclosing(threaded(self._end())) as pieces:
            async for piece in pieces:
                yield piece
        self._progress.state = DONE

    async def close(self) -> None:
        """End whatever still goes on."""
        if self._progress.state == RUNNING:
            self._progress.state = BROKEN_OFF
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for spoken in (*self._ready, *ended):
            if isinstance(spoken, Spoken):
                _drop(spoken)

    async def _next(self) -> Spoken | None:
        """Return the next text's file, None after the last. Raises SpeechError where all is in vain."""
        self._more()
        if not self._tasks:
            return None
        spoken = await self._tasks[0]  # it stays there meanwhile, for close
        del self._tasks[0]
        self._held -= len(spoken.wanted.text)
        self._more()  # while this one is sent
        if spoken.error is not None and spoken.error.code in LASTING:
            raise spoken.error
        return spoken

    def _more(self) -> None:
        """Begin with as many texts as there is room for: one at the least."""
        most = self._context.settings.limits.max_text
        while self._left and len(self._tasks) < AHEAD:
            wanted = self._left[0]
            if self._tasks and self._held + len(wanted.text) > most:
                return
            self._left.popleft()
            self._held += len(wanted.text)
            self._tasks.append(asyncio.create_task(self._speak(wanted), name="batch"))

    async def _speak(self, wanted: Wanted) -> Spoken:
        progress = self._progress
        async with self._turns:
            spoken = await self._spoken(wanted)
        progress.done += 1
        progress.failed += spoken.error is not None
        progress.seconds = round(progress.seconds + spoken.seconds, 3)
        return spoken

    async def _spoken(self, wanted: Wanted) -> Spoken:
        """Return the file of one text, or why there is none."""
        try:
            request = wanted.request()
            answer = AudioResponse(self._context, request, self._form)
            await answer.begin()
            await answer.whole()
        except SpeechError as error:
            return Spoken(wanted, error=error)
        except Exception:
            _LOGGER.exception("Number %d of batch %s failed", wanted.number, self._progress.id)
            return Spoken(wanted, error=internal_error())
        report = request.report
        return Spoken(wanted, answer.file, report.voice, answer.audio_seconds, report.cache)

    def _member(self, spoken: Spoken) -> Member:
        """Return one text's file, or what is in its place, and note it in the index."""
        wanted, error = spoken.wanted, spoken.error
        listed: dict[str, Any] = {"number": wanted.number, "text": wanted.text}
        headers = {"X-Index": str(wanted.number)}
        if error is not None or spoken.file is None:
            assert error is not None
            fault = body(str(error), error.code, STATUS.get(error.code, 400))
            listed |= {"voice": wanted.voice, **fault}
            member = Member("", "application/json", Given(json.dumps(fault).encode()), headers)
        else:
            words = stem(wanted.name)
            name = f"{wanted.number:0{self._digits}}{words and '-'}{words}.{self._form.ending}"
            seconds = round(spoken.seconds, 3)
            listed |= {"file": name, "voice": spoken.voice, "seconds": seconds, "cache": spoken.cache}
            headers |= {"X-Audio-Seconds": f"{seconds:.3f}", "X-Cache": spoken.cache}
            member = Member(name, self._form.content_type, spoken.file, headers)
        self._index.append(listed)
        return member

    def _end(self) -> Iterator[bytes]:
        """Yield the index, what became of every text, and the archive's end."""
        progress = self._progress
        listed = {
            "id": progress.id,
            "total": progress.total,
            "failed": progress.failed,
            "seconds": progress.seconds,
            "inputs": self._index,
        }
        content = json.dumps(listed, ensure_ascii=False, indent=1).encode()
        yield from self._archive.add(Member("index.json", "application/json", Given(content)))
        yield self._archive.finish()


def _drop(spoken: Spoken) -> None:
    if spoken.file is not None:
        spoken.file.drop()
