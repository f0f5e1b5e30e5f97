"""Batch jobs: many texts synthesized for one client, a few at a time and in order, with their progress."""

from __future__ import annotations

import asyncio
import json
import logging
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from ...audio.formats import Format
from ...speech import SpeechError, SpeechRequest, internal_error
from .archives import Archive, ArchiveMember, BytesContent, file_stem
from .audio_response import AudioResponse
from .context import AppContext
from .encoded_file import EncodedFile, iterate_in_thread
from .errors import STATUS, error_body

MAX_CONCURRENT = 4
"""Texts of one batch synthesized at a time."""
MAX_PREPARED = 8
"""Texts of one batch in synthesis, or finished and waiting for those before them. As their audio is stored,
they may have no more characters together than one text."""
HISTORY_SIZE = 100
"""Finished batches whose progress is kept."""
RUNNING, DONE, BROKEN_OFF = "running", "done", "broken-off"
"""States: in progress; all was sent, or no text could be synthesized; the archive was truncated."""
FATAL_CODES = {"stopping"}
"""Error codes after which the remaining texts will fail too."""

_LOGGER = logging.getLogger(__name__)


@dataclass(slots=True)
class BatchProgress:
    """Progress of a batch."""

    id: str
    total: int
    done: int = 0
    """Texts finished, failed ones included."""
    failed: int = 0
    seconds: float = 0.0
    """Of audio so far."""
    state: str = RUNNING


class BatchRegistry:
    """The progress of running batches and of the last finished ones."""

    def __init__(self) -> None:
        self._known: dict[str, BatchProgress] = {}
        """The oldest first."""

    def begin(self, name: str, total: int) -> BatchProgress:
        """Return the progress of a new batch. Raises SpeechError if one with its id is running."""
        before = self._known.pop(name, None)
        if before is not None and before.state == RUNNING:
            self._known[name] = before
            raise SpeechError(
                f"a batch with the id {name!r} is running; send another X-Request-Id", "duplicate-id"
            )
        finished = [each for each in self._known.values() if each.state != RUNNING]
        for each in finished[: max(0, len(finished) - HISTORY_SIZE + 1)]:
            del self._known[each.id]
        self._known[name] = BatchProgress(name, total)
        return self._known[name]

    def find(self, name: str) -> BatchProgress | None:
        """Return the progress of a batch; None if its id is unknown."""
        return self._known.get(name)


@dataclass(frozen=True, slots=True)
class BatchItem:
    """One text of a batch."""

    number: int
    """From 1."""
    text: str
    name: str
    """The descriptive part of its file's name is made of this."""
    voice: str | None
    build_request: Callable[[], SpeechRequest]
    """Raises SpeechError."""


@dataclass(frozen=True, slots=True)
class BatchResult:
    """The result of one text: a file, or an error."""

    item: BatchItem
    file: EncodedFile | None = None
    voice: str = ""
    seconds: float = 0.0
    cache: str = ""
    error: SpeechError | None = None


class BatchJob:
    """Synthesizes a batch into an archive: ``begin``, then ``chunks``; ``close`` in any case."""

    def __init__(
        self,
        context: AppContext,
        items: Sequence[BatchItem],
        audio_format: Format,
        archive: Archive,
        progress: BatchProgress,
    ) -> None:
        self._context = context
        self._remaining = deque(items)
        self._digits = max(4, len(str(len(items))))
        self._format = audio_format
        self._archive = archive
        self._progress = progress
        self._concurrency = asyncio.Semaphore(MAX_CONCURRENT)
        self._tasks: deque[asyncio.Task[BatchResult]] = deque()
        """In the order of their texts."""
        self._prepared_characters = 0
        """Characters of the texts in ``_tasks``."""
        self._ready: deque[BatchResult] = deque()
        """Results to be written to the archive next."""
        self._index: list[dict[str, Any]] = []

    async def begin(self) -> None:
        """Wait for the first successful text. Raises the first text's SpeechError if all fail."""
        while (result := await self._next()) is not None:
            self._ready.append(result)
            if result.error is None:
                return
        self._progress.state = DONE
        first = self._ready[0].error
        assert first is not None
        raise first

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """Yield the archive, after ``begin``. Raises SpeechError if it remains incomplete."""
        while self._ready:
            result = self._ready[0]  # stays in the queue until it is sent, so that close finds its file
            async with aclosing(iterate_in_thread(self._archive.add(self._member(result)))) as chunks:
                async for chunk in chunks:
                    yield chunk
            self._ready.popleft()
            _close_file(result)
            if not self._ready and (following := await self._next()) is not None:
                self._ready.append(following)
        async with aclosing(iterate_in_thread(self._end())) as chunks:
            async for chunk in chunks:
                yield chunk
        self._progress.state = DONE

    async def close(self) -> None:
        """Cancel running syntheses, and close all files."""
        if self._progress.state == RUNNING:
            self._progress.state = BROKEN_OFF
        for task in self._tasks:
            task.cancel()
        ended = await asyncio.gather(*self._tasks, return_exceptions=True)
        for result in (*self._ready, *ended):
            if isinstance(result, BatchResult):
                _close_file(result)

    async def _next(self) -> BatchResult | None:
        """Return the next text's result, None after the last. Raises SpeechError if all others will fail."""
        self._start_tasks()
        if not self._tasks:
            return None
        result = await self._tasks[0]  # stays in the queue until it has ended, so that close finds it
        del self._tasks[0]
        self._prepared_characters -= len(result.item.text)
        self._start_tasks()  # the next texts are synthesized while this one is sent
        if result.error is not None and result.error.code in FATAL_CODES:
            raise result.error
        return result

    def _start_tasks(self) -> None:
        """Start as many texts as the limits allow, at least one."""
        limit = self._context.settings.limits.max_text
        while self._remaining and len(self._tasks) < MAX_PREPARED:
            item = self._remaining[0]
            if self._tasks and self._prepared_characters + len(item.text) > limit:
                return
            self._remaining.popleft()
            self._prepared_characters += len(item.text)
            self._tasks.append(asyncio.create_task(self._run(item), name="batch"))

    async def _run(self, item: BatchItem) -> BatchResult:
        progress = self._progress
        async with self._concurrency:
            result = await self._synthesize(item)
        progress.done += 1
        progress.failed += result.error is not None
        progress.seconds = round(progress.seconds + result.seconds, 3)
        return result

    async def _synthesize(self, item: BatchItem) -> BatchResult:
        """Return the file of one text, or its error."""
        try:
            request = item.build_request()
            answer = AudioResponse(self._context, request, self._format)
            await answer.begin()
            await answer.make_file()
        except SpeechError as error:
            return BatchResult(item, error=error)
        except Exception:
            _LOGGER.exception("http: internal error batch=%s number=%d", self._progress.id, item.number)
            return BatchResult(item, error=internal_error())
        outcome = answer.outcome
        return BatchResult(item, answer.file, outcome.voice, answer.audio_seconds, outcome.cache)

    def _member(self, result: BatchResult) -> ArchiveMember:
        """Return the archive's entry of one text, and add it to the index."""
        item, error = result.item, result.error
        listed: dict[str, Any] = {"number": item.number, "text": item.text}
        headers = {"X-Index": str(item.number)}
        if error is not None or result.file is None:
            assert error is not None
            fault = error_body(str(error), error.code, STATUS.get(error.code, 400))
            listed |= {"voice": item.voice, **fault}
            member = ArchiveMember("", "application/json", BytesContent(json.dumps(fault).encode()), headers)
        else:
            words = file_stem(item.name)
            name = f"{item.number:0{self._digits}}{words and '-'}{words}.{self._format.extension}"
            seconds = round(result.seconds, 3)
            listed |= {"file": name, "voice": result.voice, "seconds": seconds, "cache": result.cache}
            headers |= {"X-Audio-Seconds": f"{seconds:.3f}", "X-Cache": result.cache}
            member = ArchiveMember(name, self._format.content_type, result.file, headers)
        self._index.append(listed)
        return member

    def _end(self) -> Iterator[bytes]:
        """Yield the index with the result of every text, and the archive's end."""
        progress = self._progress
        listed = {
            "id": progress.id,
            "total": progress.total,
            "failed": progress.failed,
            "seconds": progress.seconds,
            "inputs": self._index,
        }
        content = json.dumps(listed, ensure_ascii=False, indent=1).encode()
        yield from self._archive.add(ArchiveMember("index.json", "application/json", BytesContent(content)))
        yield self._archive.finish()


def _close_file(result: BatchResult) -> None:
    if result.file is not None:
        result.file.close_later()
