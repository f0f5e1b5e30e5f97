"""The protocol state of a WebSocket, without I/O; ``websocket.py`` documents the protocol."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from ...audio.formats import Format
from ...speech import SpeechError, SpeechRequest, TextFeed
from .context import AppContext, check_length
from .model import describe_error
from .speech import format_of
from .websocket_messages import MESSAGES, Cancel, End, InvalidMessageError, Pong, Speak, SpeakMessage, Text


@dataclass(eq=False, slots=True)
class PendingUtterance:
    """One utterance that a client has requested."""

    id: str
    request: SpeechRequest
    audio_format: Format


@dataclass(frozen=True, slots=True)
class Cancellation:
    """Utterances to cancel; may be empty."""

    utterances: Sequence[PendingUtterance]


class WebSocketSession:
    """The protocol state of one client: turns messages into utterances, cancellations and answers."""

    def __init__(self, context: AppContext) -> None:
        self._context = context
        self._utterances: dict[str, PendingUtterance] = {}
        """Unfinished utterances by id, in order."""
        self._open: PendingUtterance | None = None
        """The utterance whose text is open."""
        self._discarding_text = False
        """Whether messages with text of an already finished utterance may follow; they are ignored."""

    @property
    def awaits_text(self) -> bool:
        """True while the text of an unfinished utterance is open."""
        return self._open is not None

    def receive(self, text: str | None) -> PendingUtterance | Cancellation | Pong | None:
        """Return an utterance to speak, utterances to cancel, an immediate answer, or None.

        ``text``: the message; None for a binary one. Raises InvalidMessageError, which ends the utterance
        that the message would have begun, if any, and has no other effect. An invalid ``speech.text`` instead
        ends the open text with an error, which the reader of the text receives.
        """
        data, kind = _parse(text)
        if kind == "speech.start":
            # The client has started another text: no more messages of the open one will follow.
            self.fail(
                InvalidMessageError("speech.start before the speech.end of this text", "unexpected-message")
            )
        try:
            message = MESSAGES[kind].model_validate(data, strict=True)
        except ValidationError as error:
            if (fault := self._reject_invalid(kind, data, error)) is not None:
                raise fault from error
            return None
        if isinstance(message, SpeakMessage):
            return self._begin(message, kind)
        if isinstance(message, Text):
            self._append_text(message)
        elif isinstance(message, End):
            self._end_text(message)
        elif isinstance(message, Cancel):
            return self._cancel(message)
        else:
            return Pong()
        return None

    def finish(self, utterance: PendingUtterance) -> None:
        """Remove a finished utterance."""
        del self._utterances[utterance.id]
        if self._open is utterance:
            self._discard_open_text()

    def fail(self, error: SpeechError) -> bool:
        """End the open text, if there is one, with ``error``; return whether there was one."""
        if self._open is None:
            return False
        self._open.request.text.fail(error)
        self._discard_open_text()
        return True

    def _discard_open_text(self) -> None:
        self._open, self._discarding_text = None, True

    def _reject_invalid(
        self, kind: str, data: dict[str, Any], error: ValidationError
    ) -> InvalidMessageError | None:
        """Return the error of an invalid message; None if it has ended the open text."""
        invalid = [str(each["loc"][0]) for each in error.errors() if each["loc"]]
        param = invalid[0] if invalid else None
        fault = InvalidMessageError(f"{kind}: {param}: {describe_error(error.errors()[0])}", param=param)
        if kind == "speech.text" and self.fail(fault):
            return None  # without this message the text would be incomplete
        if issubclass(MESSAGES[kind], SpeakMessage):
            self._reject_utterance(kind, None if "id" in invalid else data.get("id"), fault)
        return fault

    def _reject_utterance(self, kind: str, utterance_id: str | None, fault: InvalidMessageError) -> None:
        """Mark ``fault`` as the end of an utterance that does not begin, whose text is ignored."""
        if utterance_id not in self._utterances:  # else it would end the other utterance with this id
            fault.utterance_id = utterance_id
        if kind == "speech.start":
            self._discarding_text = True

    def _begin(self, message: SpeakMessage, kind: str) -> PendingUtterance:
        """Return a new utterance. Raises InvalidMessageError."""
        try:
            utterance = self._build(message, kind)
        except SpeechError as error:
            fault = (
                error
                if isinstance(error, InvalidMessageError)
                else InvalidMessageError(str(error), error.code)
            )
            self._reject_utterance(kind, message.id, fault)
            raise fault from error
        self._utterances[utterance.id] = utterance
        if not isinstance(message, Speak):
            self._open, self._discarding_text = utterance, False
        return utterance

    def _build(self, message: SpeakMessage, kind: str) -> PendingUtterance:
        """Return the utterance that a message requests. Raises SpeechError."""
        if message.id in self._utterances:
            raise InvalidMessageError(
                f"{kind}: the utterance {message.id!r} has not ended yet; choose another id",
                "duplicate-id",
                param="id",
            )
        if len(self._utterances) > (limit := self._context.settings.limits.max_requests):
            raise InvalidMessageError(
                f"{limit} utterances are waiting, the limit of one connection (--max-requests)", "busy"
            )
        text = TextFeed.whole(message.input) if isinstance(message, Speak) else TextFeed()
        request = message.request(self._context, text)
        audio_format = format_of(message.response_format, message.sample_rate)
        return PendingUtterance(message.id or request.id, request, audio_format)

    def _append_text(self, message: Text) -> None:
        utterance = self._open_utterance(message)
        if utterance is None:
            return
        feed = utterance.request.text
        try:
            check_length(feed.length + len(message.text), self._context)
        except SpeechError as error:
            self.fail(error)
        else:
            if message.text:  # the feed queues empty texts too, which would grow without limit
                feed.push(message.text)

    def _end_text(self, message: End) -> None:
        utterance = self._open_utterance(message)
        self._open, self._discarding_text = None, False
        if utterance is not None:
            utterance.request.text.end()

    def _open_utterance(self, message: Text | End) -> PendingUtterance | None:
        """Return the utterance of a text message; None if it has ended. Raises InvalidMessageError."""
        utterance = self._open
        if utterance is None:
            if not self._discarding_text:
                raise InvalidMessageError(f"{message.type} without speech.start", "unexpected-message")
        elif message.id not in {None, utterance.id}:
            raise InvalidMessageError(
                f"{message.type}: the open text is that of {utterance.id!r}, not of {message.id!r}",
                param="id",
            )
        return utterance

    def _cancel(self, message: Cancel) -> Cancellation:
        """Return the utterances to cancel. Raises InvalidMessageError."""
        if message.id is None:
            utterances = list(self._utterances.values())
        elif message.id in self._utterances:
            utterances = [self._utterances[message.id]]
        else:
            raise InvalidMessageError(
                f"speech.cancel: unknown id {message.id!r}: not started, or finished",
                "unknown-id",
                param="id",
            )
        if self._open in utterances:
            self._discard_open_text()
        return Cancellation(utterances)


def _parse(text: str | None) -> tuple[dict[str, Any], str]:
    """Return a message's JSON object, and its type. Raises InvalidMessageError."""
    if text is None:
        raise InvalidMessageError(
            "binary messages are not supported: this server synthesizes speech and accepts no audio"
        )
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidMessageError(
            f"the message is not JSON: {text[:40]!r} ({error})", "invalid-json"
        ) from error
    if not isinstance(data, dict):
        raise InvalidMessageError(
            f"the message must be a JSON object, not {type(data).__name__}", "invalid-json"
        )
    kind = data.get("type")
    if not isinstance(kind, str):
        raise InvalidMessageError("type is missing, or not a string", param="type")
    if kind not in MESSAGES:
        raise InvalidMessageError(
            f"unknown type {kind[:40]!r}; known are {', '.join(MESSAGES)}", param="type"
        )
    return data, kind
