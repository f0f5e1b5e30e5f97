"""Base classes and types of request bodies: strict types, valid Unicode, ``null`` as absent, languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic_core import PydanticCustomError

from ...speech import LONGEST_NAME, LONGEST_TAG, unspeakable
from ...text.language_tags import parse_requested_language


def check_characters(value: object) -> object:
    """Return a value unchanged. Raises PydanticCustomError for NUL and lone surrogates, which JSON allows."""
    if isinstance(value, str) and (found := unspeakable(value)) is not None:
        what, at = found
        message = "The text contains {what} at character {at}"
        raise PydanticCustomError("characters", message, {"what": what, "at": at})
    return value


Text = Annotated[str, Field(min_length=1), AfterValidator(check_characters)]
"""An item of a list of texts; RequestModel checks the characters of its fields itself."""

Name = Annotated[str, Field(max_length=LONGEST_NAME)]


def _language(text: str | None) -> str | None:
    try:
        return parse_requested_language(text)
    except ValueError as error:
        raise PydanticCustomError("language", "{reason}", {"reason": str(error)}) from error


Language = Annotated[Annotated[str, Field(max_length=LONGEST_TAG)] | None, AfterValidator(_language)]
"""A BCP 47 tag, a three-letter code, or an English or native name of a language; "" and "auto" are None."""


def _accept_null(schema: dict[str, Any]) -> None:
    """Declare every optional field as nullable in a model's JSON schema."""
    for name, field in schema.get("properties", {}).items():
        kinds = field.get("anyOf", [])
        if name not in schema.get("required", ()) and {"type": "null"} not in kinds:
            inner = {
                key: field.pop(key) for key in list(field) if key not in {"default", "title", "description"}
            }
            field["anyOf"] = [*kinds, {"type": "null"}] if kinds else [inner, {"type": "null"}]


def describe_error(error: Mapping[str, Any]) -> str:
    """Return the message of one of pydantic's errors."""
    if error["type"] == "extra_forbidden":
        return "unknown field (/openapi.json lists the known ones)"
    return str(error["msg"])


class RequestModel(BaseModel):
    """A request body. Types are not converted: the string "no" is not accepted for false."""

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
    def _check_characters(cls, value: object) -> object:
        return check_characters(value)
