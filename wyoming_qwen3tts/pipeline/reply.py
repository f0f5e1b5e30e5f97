"""The state of one request while its audio is produced."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from ..audio.postprocess import ReplyPostprocessor
from ..speech import Caching, SpeechRequest, Voice
from .buffer import AudioBuffer
from .outcome import Outcome
from .plan import SpeechPlan

FIRST_AUDIO_BONUS = 10.0
"""Seconds by which the first audio of a reply counts as overdue: it goes before all others but those whose
listeners have waited for longer, so that no request starves."""
BATCH_DEADLINE = 60.0
"""Seconds until the playback deadline of audio that no one listens to."""


@dataclass(slots=True)
class Reply:
    """What the parts of the pipeline share about one request."""

    request: SpeechRequest
    plan: SpeechPlan
    postprocessor: ReplyPostprocessor
    buffer: AudioBuffer
    outcome: Outcome
    timeout: asyncio.Timeout
    """Ends the production where there is no audio in time."""
    stores: bool | None = None
    """Whether new utterances are cached; None before the first one."""
    sentence_voice: Voice | None = None
    """The voice that has spoken the beginning of a sentence whose end is still to come."""

    @property
    def has_audio(self) -> bool:
        """Whether the listener has heard anything, or will."""
        return self.buffer.size > 0

    @property
    def playback_deadline(self) -> float:
        """When its listener runs out of audio (``time.monotonic``)."""
        if not self.request.is_interactive or self.plan.caching == Caching.PIN:
            return time.monotonic() + BATCH_DEADLINE
        return self.buffer.playback_end if self.has_audio else time.monotonic() - FIRST_AUDIO_BONUS

    def expect_audio_within(self, seconds: float) -> None:
        """Begin the time limit for the first audio; 0 is none."""
        if seconds and not self.has_audio:
            self.timeout.reschedule(asyncio.get_running_loop().time() + seconds)

    async def put(self, chunk: bytes) -> None:
        """Give a chunk, which may be empty, to the listener; wait while enough is buffered."""
        if chunk and not self.has_audio and not self.timeout.expired():
            self.timeout.reschedule(None)
        await self.buffer.put(chunk)
