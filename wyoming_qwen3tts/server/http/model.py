"""Base classes of request bodies: strict types, printable text, ``null`` as absent, languages by any name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ...speech import LONGEST_NAME, LONGEST_TAG, unspeakable
from ...text.language_tags import parse_requested_language


def of_characters(value: object) -> object:
    """Return a value as it is. JSON has escapes for what is no character: halves of one, say."""
    if isinstance(value, str) and (found := unspeakable(value)) is not None:
        what, at = found
        raise PydanticCustomError("characters", "There is {what} at character {at}", {"what": what, "at": at})
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(of_characters)]
"""A text in a list; those that are fields are looked at anyhow."""


Name = Annotated[str, Field(max_length=LONGEST_NAME)]


def _language(text: str | None) -> str | None:
    try:
        return parse_requested_language(text)
    except ValueError as error:
        raise PydanticCustomError("language", "{reason}", {"reason": str(error)}) from error


Language = Annotated[Annotated[str, Field(max_length=LONGEST_TAG)] | None, AfterValidator(_language)]
"""A language: a BCP 47 tag, a three-letter code, or an English or native name; "" and "auto" are None."""


def _accept_null(schema: dict[str, Any]) -> None:
    """Let a model's JSON schema say that every optional field may be null."""
    for name, field in schema.get("properties", {}).items():
        kinds = field.get("anyOf", [])
        if name not in schema.get("required", ()) and {"type": "null"} not in kinds:
            inner = {
                key: field.pop(key) for key in list(field) if key not in {"default", "title", "description"}
            }
            field["anyOf"] = [*kinds, {"type": "null"}] if kinds else [inner, {"type": "null"}]


def reason(error: Mapping[str, Any]) -> str:
    """Return what is wrong with a field, of one of pydantic's errors."""
    if error["type"] == "extra_forbidden":
        return "there is no such field (/openapi.json lists them)"
    return str(error["msg"])


class RequestModel(BaseModel):
    """A request body. Types are not converted: "no" is not false."""

    model_config = ConfigDict(strict=True, json_schema_extra=_accept_null)

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, data: object) -> object:
        return (
            {key: value for key, value in data.items() if value is not None}
            if isinstance(data, dict)
            else data
        )

    @field_validator("*", mode="before")
    @classmethod
    def _of_characters(cls, value: object) -> object:
        return of_characters(value)
