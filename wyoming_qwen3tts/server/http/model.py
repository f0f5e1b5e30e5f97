"""What clients send, as pydantic models: no text in it holds what nobody can say or write down."""

from __future__ import annotations

import re

from pydantic import BaseModel, ConfigDict, field_validator
from pydantic_core import PydanticCustomError

_UNSPEAKABLE = re.compile("[\0\ud800-\udfff]")


class Model(BaseModel):
    """The base of what clients send: nothing in it is turned into what it is not, such as "no" into false."""

    model_config = ConfigDict(strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _of_characters(cls, value: object) -> object:
        """Return a field's value as it is. JSON has escapes for what is no character: halves of one, say."""
        if isinstance(value, str) and (found := _UNSPEAKABLE.search(value)):
            what = "NUL" if found[0] == "\0" else f"a lone surrogate (U+{ord(found[0]):X})"
            raise PydanticCustomError(
                "characters", "There is {what} at character {at}", {"what": what, "at": found.start()}
            )
        return value
