"""The JSON messages of the WebSocket, in both directions. Audio is sent as binary messages."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from ...speech import SpeechError
from .errors import STATUS, error_body
from .model import RequestModel
from .speech import ResponseFormat, SpeechOptions

MAX_ID_LENGTH = 64
"""Characters."""
Id = Annotated[str, Field(min_length=1, max_length=MAX_ID_LENGTH)]


# -- from the client ----------------------------------------------------------------------------------------


class SpeakMessage(SpeechOptions):
    """A request to speak an utterance: its options."""

    id: Id | None = None
    """The client's id of the utterance; by default the server's, which ``speech.started`` contains."""
    response_format: ResponseFormat = "pcm"


class Start(SpeakMessage):
    """Begins an utterance whose text follows in ``speech.text`` messages."""

    type: Literal["speech.start"]


class Speak(SpeakMessage):
    """An utterance with its complete text."""

    type: Literal["speech.speak"]
    input: Annotated[str, Field(min_length=1)]


class Text(RequestModel):
    """A part of the open text; it may end inside a word."""

    type: Literal["speech.text"]
    id: Id | None = None
    """Optional; must be that of the utterance whose text is open."""
    text: str


class End(RequestModel):
    """The end of the open text."""

    type: Literal["speech.end"]
    id: Id | None = None


class Cancel(RequestModel):
    """Cancels an utterance, spoken or waiting; without ``id`` all of them."""

    type: Literal["speech.cancel"]
    id: Id | None = None


class Ping(RequestModel):
    """Keeps the connection alive."""

    type: Literal["ping"]


MESSAGES: dict[str, type[Start | Speak | Text | End | Cancel | Ping]] = {
    "speech.start": Start,
    "speech.text": Text,
    "speech.end": End,
    "speech.speak": Speak,
    "speech.cancel": Cancel,
    "ping": Ping,
}
"""Messages of the client, by ``type``."""


# -- from the server ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Started:
    """The first message of an utterance: the binary messages up to its end are its audio."""

    id: str
    response_format: str
    first_audio_ms: float
    """Time to first audio, since the utterance before it ended."""
    cache: str
    """Where the first audio came from (see ``pipeline.outcome.Outcome.cache``)."""
    sample_rate: int
    type: str = field(default="speech.started", init=False)


@dataclass(frozen=True, slots=True)
class Done:
    """All audio of an utterance was sent."""

    id: str
    audio_seconds: float
    total_ms: float
    """Time to the last byte, since the utterance before it ended."""
    rtf: float
    """``total_ms`` in seconds, per second of audio."""
    cache: str
    """Where all of the audio came from."""
    request_id: str
    """Id of the request in the log."""
    type: str = field(default="speech.done", init=False)


@dataclass(frozen=True, slots=True)
class Cancelled:
    """An utterance was cancelled by the client: its audio is incomplete."""

    id: str
    type: str = field(default="speech.cancelled", init=False)


@dataclass(frozen=True, slots=True)
class Pong:
    """The answer to ``ping``."""

    type: str = field(default="pong", init=False)


@dataclass(frozen=True, slots=True)
class Failed:
    """An error. With an ``id`` it ends that utterance; without one, a message was ignored."""

    error: SpeechError
    id: str | None = None


Message = Started | Done | Cancelled | Pong | Failed


class InvalidMessageError(SpeechError):
    """An invalid message. ``utterance_id``: the utterance that it would have begun, if any."""

    code = "invalid-request"

    def __init__(self, message: str, code: str | None = None, *, param: str | None = None) -> None:
        """``param``: the invalid field."""
        super().__init__(message, code)
        self.param = param
        self.utterance_id: str | None = None


def encode(message: Message) -> str:
    """Return a message as JSON."""
    if not isinstance(message, Failed):
        return json.dumps(asdict(message))
    error = message.error
    param = error.param if isinstance(error, InvalidMessageError) else None
    utterance = {} if message.id is None else {"id": message.id}
    fault = error_body(str(error), error.code, STATUS.get(error.code, 400), param)
    return json.dumps({"type": "error", **utterance, **fault})
