"""What is said over a WebSocket beside sound: JSON objects with a ``type``, these and no others."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from ...speech import SpeechError
from .errors import STATUS, body
from .model import RequestModel
from .speech import ResponseFormat, SpeechOptions

LONGEST_ID = 64
"""Characters of an utterance's name."""
Id = Annotated[str, Field(min_length=1, max_length=LONGEST_ID)]


# -- from the client ----------------------------------------------------------------------------------------


class SpeakMessage(SpeechOptions):
    """How an utterance is to be spoken."""

    id: Id | None = None
    """What the client calls it; none is a name of ours, which ``speech.started`` tells."""
    response_format: ResponseFormat = "pcm"


class Start(SpeakMessage):
    """An utterance begins, whose text comes in pieces."""

    type: Literal["speech.start"]


class Speak(SpeakMessage):
    """An utterance whose text is there at once: start, text and end in one."""

    type: Literal["speech.speak"]
    input: Annotated[str, Field(min_length=1)]


class Text(RequestModel):
    """A piece of the text. Pieces need not end where words do."""

    type: Literal["speech.text"]
    id: Id | None = None
    """Of the utterance whose text is open, if the client likes to say so."""
    text: str


class End(RequestModel):
    """The text is whole."""

    type: Literal["speech.end"]
    id: Id | None = None


class Cancel(RequestModel):
    """An utterance is not wanted any more, whether it is being spoken or waits; without ``id``, none is."""

    type: Literal["speech.cancel"]
    id: Id | None = None


class Ping(RequestModel):
    """Whether anybody is there."""

    type: Literal["ping"]


MESSAGES: dict[str, type[Start | Speak | Text | End | Cancel | Ping]] = {
    "speech.start": Start,
    "speech.text": Text,
    "speech.end": End,
    "speech.speak": Speak,
    "speech.cancel": Cancel,
    "ping": Ping,
}
"""What a client may send, by ``type``."""


# -- from the server ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The binary messages from here to the utterance's end are its sound."""

    id: str
    response_format: str
    first_audio_ms: float
    """From the utterance's turn to its first sound."""
    cache: str
    """Where that came from (see ``speech.Report.cache``)."""
    sample_rate: int
    type: str = field(default="speech.started", init=False)


@dataclass(frozen=True, slots=True)
class Done:
    """An utterance was sent whole."""

    id: str
    audio_seconds: float
    total_ms: float
    """From its turn to its last byte."""
    rtf: float
    """Seconds of that for a second of sound."""
    cache: str
    """Where all of it came from."""
    request_id: str
    """What the log calls it."""
    type: str = field(default="speech.done", init=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An utterance ended because the client wanted it to: what came of it is not the whole."""

    id: str
    type: str = field(default="speech.cancelled", init=False)


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to ``ping``."""

    type: str = field(default="pong", init=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """What went wrong. With an ``id`` it is that utterance's end; without, a message was ignored."""

    error: SpeechError
    id: str | None = None


Message = Started | Done | Cancelled | Pong | Failed


class InvalidMessageError(SpeechError):
    """A message that cannot be followed. ``whose``: the utterance that does not begin for it."""

    code = "invalid-request"

    def __init__(self, message: str, code: str | None = None, *, param: str | None = None) -> None:
        """``param``: the field that is to blame."""
        super().__init__(message, code)
        self.param = param
        self.whose: str | None = None


def encode(message: Message) -> str:
    """Return a message as it goes over the wire."""
    if not isinstance(message, Failed):
        return json.dumps(asdict(message))
    error = message.error
    param = error.param if isinstance(error, InvalidMessageError) else None
    whose = {} if message.id is None else {"id": message.id}
    fault = body(str(error), error.code, STATUS.get(error.code, 400), param)
    return json.dumps({"type": "error", **whose, **fault})
