"""The rules of a conversation over a WebSocket, without I/O; ``websocket.py`` describes them to clients."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ...audio.encode import Format
from ...speech import SpeechError, SpeechRequest, TextFeed
from .context import AppContext, check_length
from .model import reason
from .speech import form_of
from .websocket_messages import MESSAGES, Cancel, End, InvalidMessageError, Pong, Speak, SpeakMessage, Text


@dataclass(eq=False, slots=True)
class PendingUtterance:
    """One utterance that a client wants to hear."""

    id: str
    request: SpeechRequest
    form: Format


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Utterances that the client does not want any more; none where there was none."""

    jobs: Sequence[PendingUtterance]


class WebSocketSession:
    """What one client has said so far, and what it may say next."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._jobs: dict[str, PendingUtterance] = {}
        """Utterances that have no end yet, in their order."""
        self._open: PendingUtterance | None = None
        self._unheard = False
        """Whether text still comes of an utterance that has its end already: nobody needs it."""

    @property
    def awaits_text(self) -> bool:
        """True while a text is open whose utterance has no end yet."""
        return self._open is not None

    def receive(self, text: str | None) -> PendingUtterance | Cancellation | Pong | None:
        """Return an utterance to speak, or those to end, or what to answer at once, or nothing.

        ``text``: a message; None is a binary one. Raises InvalidMessageError for one that cannot be followed;
        that changes nothing, but that an utterance which was to begin has its end. What is wrong with a piece
        of the open text is that text's end, and comes to whoever reads it.
        """
        data, kind = _object(text)
        if kind == "speech.start":
            # Whatever is said next is not of the text that is open.
            self.fail(
                InvalidMessageError("speech.start before the speech.end of this text", "unexpected-message")
            )
        try:
            message = MESSAGES[kind].model_validate(data, strict=True)
        except ValidationError as error:
            if (fault := self._misunderstood(kind, data, error)) is not None:
                raise fault from error
            return None
        if isinstance(message, SpeakMessage):
            return self._begin(message, kind)
        if isinstance(message, Text):
            self._text(message)
        elif isinstance(message, End):
            self._end(message)
        elif isinstance(message, Cancel):
            return self._cancel(message)
        else:
            return Pong()
        return None

    def over(self, job: PendingUtterance) -> None:
        """Note that an utterance has its end."""
        del self._jobs[job.id]
        if self._open is job:
            self._close_early()

    def fail(self, error: SpeechError) -> bool:
        """End the open text, if there is one, with ``error``; tell whether there was."""
        if self._open is None:
            return False
        self._open.request.text.fail(error)
        self._close_early()
        return True

    def _close_early(self) -> None:
        self._open, self._unheard = None, True

    def _misunderstood(
        self, kind: str, data: dict[str, Any], error: ValidationError
    ) -> InvalidMessageError | None:
        """Return what is wrong with a message; None where the open text ends with it."""
        wrong = [str(each["loc"][0]) for each in error.errors() if each["loc"]]
        param = wrong[0] if wrong else None
        fault = InvalidMessageError(f"{kind}: {param}: {reason(error.errors()[0])}", param=param)
        if kind == "speech.text" and self.fail(fault):
            return None  # a text that lacks a piece is not to be taken for whole
        if issubclass(MESSAGES[kind], SpeakMessage):
            self._refuse(kind, None if "id" in wrong else data.get("id"), fault)
        return fault

    def _refuse(self, kind: str, whose: str | None, fault: InvalidMessageError) -> None:
        """Note that an utterance does not begin: ``fault`` is its end, and its text is ignored."""
        if whose not in self._jobs:  # else it would be the end of one that is well
            fault.whose = whose
        if kind == "speech.start":
            self._unheard = True

    def _begin(self, message: SpeakMessage, kind: str) -> PendingUtterance:
        """Return a new utterance. Raises InvalidMessageError."""
        try:
            job = self._job(message, kind)
        except SpeechError as error:
            fault = (
                error
                if isinstance(error, InvalidMessageError)
                else InvalidMessageError(str(error), error.code)
            )
            self._refuse(kind, message.id, fault)
            raise fault from error
        self._jobs[job.id] = job
        if not isinstance(message, Speak):
            self._open, self._unheard = job, False
        return job

    def _job(self, message: SpeakMessage, kind: str) -> PendingUtterance:
        """Return what a message asks for. Raises SpeechError."""
        if message.id in self._jobs:
            raise InvalidMessageError(f"{kind}: {message.id!r} has not ended yet", "duplicate-id", param="id")
        if len(self._jobs) > (most := self._context.settings.limits.max_requests):
            raise InvalidMessageError(f"{most} utterances are waiting, the most there may be", "busy")
        text = TextFeed.whole(message.input) if isinstance(message, Speak) else TextFeed()
        request = message.request(self._context, text)
        form = form_of(message.response_format, message.sample_rate)
        return PendingUtterance(message.id or request.report.id, request, form)

    def _text(self, message: Text) -> None:
        job = self._addressed(message)
        if job is None:
            return
        feed = job.request.text
        try:
            check_length(feed.length + len(message.text), self._context)
        except SpeechError as error:
            self.fail(error)
        else:
            if message.text:  # nothing weighs something in a queue, too
                feed.push(message.text)

    def _end(self, message: End) -> None:
        job = self._addressed(message)
        self._open, self._unheard = None, False
        if job is not None:
            job.request.text.end()

    def _addressed(self, message: Text | End) -> PendingUtterance | None:
        """Return whose text it is; None where that has its end already. Raises InvalidMessageError."""
        job = self._open
        if job is None:
            if not self._unheard:
                raise InvalidMessageError(f"{message.type} without speech.start", "unexpected-message")
        elif message.id not in {None, job.id}:
            raise InvalidMessageError(
                f"{message.type}: it is the text of {job.id!r} that is open, not of {message.id!r}",
                param="id",
            )
        return job

    def _cancel(self, message: Cancel) -> Cancellation:
        """Return whose end it is. Raises InvalidMessageError."""
        if message.id is None:
            jobs = list(self._jobs.values())
        elif message.id in self._jobs:
            jobs = [self._jobs[message.id]]
        else:
            raise InvalidMessageError(
                f"speech.cancel: there is no {message.id!r}, or not any more", "unknown-id", param="id"
            )
        if self._open in jobs:
            self._close_early()
        return Cancellation(jobs)


def _object(text: str | None) -> tuple[dict[str, Any], str]:
    """Return the object that a message is, and its type. Raises InvalidMessageError."""
    if text is None:
        raise InvalidMessageError(
            "a binary message makes no sense here: this server speaks and does not listen"
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMessageError(
            f"the message is not JSON: {text[:40]!r} ({error})", "invalid-json"
        ) from error
    if not isinstance(data, dict):
        raise InvalidMessageError(f"a message is a JSON object, not {type(data).__name__}", "invalid-json")
    kind = data.get("type")
    if not isinstance(kind, str):
        raise InvalidMessageError("type is missing, or not a string", param="type")
    if kind not in MESSAGES:
        raise InvalidMessageError(f"type: there is no {kind[:40]!r}, but {', '.join(MESSAGES)}", param="type")
    return data, kind
