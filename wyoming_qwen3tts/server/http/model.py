"""What clients send, as pydantic models: no text in it holds what nobody can say or write down."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError

from ...speech import LONGEST_NAME, LONGEST_TAG, unspeakable


def of_characters(value: object) -> object:
    """Return a value as it is. JSON has escapes for what is no character: halves of one, say."""
    if isinstance(value, str) and (found := unspeakable(value)) is not None:
        what, at = found
        raise PydanticCustomError("characters", "There is {what} at character {at}", {"what": what, "at": at})
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(of_characters)]
"""A text in a list; those that are fields are looked at anyhow."""


Name = Annotated[str, Field(max_length=LONGEST_NAME)]
Tag = Annotated[str, Field(max_length=LONGEST_TAG)]


class Model(BaseModel):
    """The base of what clients send: nothing in it is turned into what it is not, such as "no" into false."""

    model_config = ConfigDict(strict=True)

    @field_validator("*", mode="before")
    @classmethod
    def _of_characters(cls, value: object) -> object:
        return of_characters(value)
