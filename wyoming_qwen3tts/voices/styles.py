"""Styles: named manners of speaking, read from a file, and the voices that they make.

The file is TOML, with one table for each style:

    [calm]
    instruct = "Speak slowly and calmly, in a low voice."
    speed = 0.9
    gain = -3
    voices = ["Ryan", "Serena"]

Home Assistant can only ask for a voice, so every style of a voice is a voice too: ``Ryan (calm)``.
"""

from __future__ import annotations

import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..audio.postprocess import MAX_STYLE_GAIN, MIN_STYLE_GAIN
from ..speech import FASTEST, SLOWEST, SpeechError, Style, Voice, base_language
from .names import autonym, name_key, shorten

NOT_SUPPORTED = "style-not-supported"
"""The code of the error for a style or instructions that a voice does not support."""
LONGEST_NAME = 40
"""Characters of a style's name: after a voice's name, it still fits a line on a phone."""
LONGEST_INSTRUCT = 500
"""Characters of an instruction, which the model reads before every sentence."""
LARGEST_SEED = 2**32 - 1
HIGHEST_RANK = 1
"""Of voices that get a style without ``voices``: a hundred voices have a higher rank, as last resorts."""
INSTRUCTABLE_MODEL = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"
"""A checkpoint whose speakers follow instructions."""

_FORBIDDEN = re.compile(r"[()\[\]{}<>/\\·]")
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Styles:
    """The content of a file of styles."""

    styles: tuple[tuple[Style, tuple[str, ...] | None], ...] = ()
    """Styles with the names of their voices; None is every voice that supports it, last resorts excluded."""
    problems: tuple[str, ...] = ()
    """What was left out and why, one line each."""


@dataclass(frozen=True, slots=True)
class StyledVoices:
    """Voices in the styles of a file."""

    variants: Mapping[str, tuple[Voice, ...]]
    """Key of a voice's name → its styles as voices, in the order of the file."""
    refused: Mapping[str, str]
    """Key of the name of a voice in a style that it does not support → why, one sentence."""
    problems: tuple[str, ...]


# -- reading ------------------------------------------------------------------------------------------------


def read_styles(path: Path) -> Styles:
    """Return the styles in a file, and its problems; no styles if there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Styles()
    except OSError as error:
        return Styles(problems=(f"{path}: {error.strerror or error}; there are no styles",))
    try:
        tables = tomllib.loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return Styles(problems=(f"{path}, line {line}: it is not UTF-8; there are no styles",))
    except (ValueError, RecursionError) as error:  # ValueError: also a number of thousands of digits
        return Styles(problems=(f"{path} is not TOML: {shorten(str(error))}; there are no styles",))
    styles: dict[str, tuple[Style, tuple[str, ...] | None]] = {}
    problems = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            problems.append(f"{path}: {shorten(name)} = {_show(table)}: put it under a line [NAME]")
            continue
        try:
            style, names = _style(name, table, {key: style.name for key, (style, _) in styles.items()})
            styles[name_key(name)] = style, names
        except _StyleError as error:
            problems.append(f"{path}: [{shorten(name)}] is left out: {error}")
    return Styles(tuple(styles.values()), tuple(problems))


class _StyleError(Exception):
    """A table is not a valid style; the message says why."""


def _show(value: Any) -> str:
    """Return a TOML value for a message: the first 40 characters of its ``repr``."""
    try:
        return f"{value!r:.40}"
    except (ValueError, RecursionError):  # an integer of thousands of digits, in hexadecimal
        return "a value that is too long to show"


def _style(
    name: str, table: dict[str, Any], existing: Mapping[str, str]
) -> tuple[Style, tuple[str, ...] | None]:
    """Return a table as a style, with its voices. ``existing``: key → name of a style. Raises _StyleError."""
    _check_name(name)
    if name_key(name) in existing:
        raise _StyleError(f"it has the same name as [{existing[name_key(name)]}]; rename one of them")
    for unknown in sorted(table.keys() - _VALUES.keys() - {"voices"}):
        known = ", ".join((*_VALUES, "voices"))
        raise _StyleError(f"{shorten(unknown)} = {_show(table[unknown])}: a style has {known}")
    values = {each: check(each, table[each]) for each, check in _VALUES.items() if each in table}
    if not values:
        raise _StyleError(f"it has none of {', '.join(_VALUES)}")
    return Style(name, **values), _voices(table.get("voices"))


def _check_name(name: str) -> None:
    """Raise _StyleError if a style cannot have this name."""
    if not 0 < len(name) <= LONGEST_NAME:
        raise _StyleError(f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    if _FORBIDDEN.search(name) or any(unicodedata.category(character)[0] == "C" for character in name):
        raise _StyleError("a name has no brackets, slashes, middle dots or control characters")
    if name != name.strip() or not any(character.isalnum() for character in name):
        raise _StyleError("a name has a letter or a digit, and no space at its ends")


def _number(lowest: float, highest: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not lowest <= value <= highest:
            raise _StyleError(f"{name} = {_show(value)}: allowed is a number from {lowest:g} to {highest:g}")
        return float(value)

    return check


def _instruct(name: str, value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text or len(text) > LONGEST_INSTRUCT or "\0" in text:
        raise _StyleError(
            f"{name} = {_show(value)}: allowed are words in quotes, up to {LONGEST_INSTRUCT} characters"
        )
    return text


def _seed(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_SEED:
        raise _StyleError(f"{name} = {_show(value)}: allowed is a whole number from 0 to {LARGEST_SEED}")
    return value


def _language(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        raise _StyleError(f'{name} = {_show(value)}: allowed is a language tag, such as "de" or "pt-BR"')
    return value


def _voices(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise _StyleError(f'voices = {_show(value)}: allowed is a list of names, such as ["Ryan"]')
    return tuple(value)


_VALUES: Mapping[str, Callable[[str, Any], Any]] = {
    "instruct": _instruct,
    "speed": _number(SLOWEST, FASTEST),
    "gain": _number(MIN_STYLE_GAIN, MAX_STYLE_GAIN),
    "language": _language,
    "seed": _seed,
}
"""Key of a style's table → function that checks and returns its value."""


# -- applying -----------------------------------------------------------------------------------------------


def with_style(voice: Voice, style: Style) -> Voice:
    """Return ``voice`` in ``style``, as a voice. The style's language must be one of the voice's tags."""
    is_only_language = style.language and not style.instruct and style.speed == 1.0 and style.gain == 0.0
    return replace(
        voice,
        name=f"{voice.name} · {style.name}" if is_only_language else f"{voice.name} ({style.name})",
        base=voice.name,
        style=style,
        seed=voice.seed if style.seed is None else style.seed,
        languages=voice.languages if style.language is None else (style.language,),
    )


def with_language(voice: Voice, language: str) -> Voice | None:
    """Return ``voice`` bound to a language (BCP 47): unchanged if it has no other, None if not this one."""
    tag = voice_tag(voice, language)
    if tag is None or len({base_language(each) for each in voice.languages}) == 1:
        return voice if tag else None
    if voice.style is None:
        return with_style(voice, Style(autonym(tag), language=tag))
    name = f"{voice.name} · {autonym(tag)}"
    return replace(voice, name=name, style=replace(voice.style, language=tag), languages=(tag,))


def with_instructions(voice: Voice, instructions: str) -> Voice:
    """Return ``voice`` with instructions instead of those of its style.

    Raises SpeechError (``style-not-supported``) if it does not follow instructions.
    """
    if not voice.supports_instructions:
        raise SpeechError(f"{voice.name} does not follow instructions; choose another voice", NOT_SUPPORTED)
    if len(instructions) > LONGEST_INSTRUCT:
        raise SpeechError(f"instructions have over {LONGEST_INSTRUCT} characters", "text-too-long")
    style = replace(voice.style or Style(""), instruct=instructions)
    return replace(voice, base=voice.speaker, style=style)


def voice_tag(voice: Voice, language: str) -> str | None:
    """Return the voice's tag for a language (BCP 47), preferably of the same region; None if it has none."""
    same_region = [tag for tag in voice.languages if name_key(tag) == name_key(language)]
    same_language = [tag for tag in voice.languages if base_language(tag) == base_language(language)]
    return next(iter(same_region + same_language), None)


def apply_styles(styles: Styles, voices: Sequence[Voice]) -> StyledVoices:
    """Return ``voices``, which have no styles yet, in ``styles``."""
    by_key = {name_key(voice.name): voice for voice in voices}
    variants: dict[str, tuple[Voice, ...]] = {}
    refused: dict[str, str] = {}
    problems: list[str] = []
    for style, names in styles.styles:
        selected = [voice for voice in voices if voice.rank <= HIGHEST_RANK]
        if names is not None:
            missing = [name for name in names if name_key(name) not in by_key]
            problems += [f"style {style.name}: there is no voice {shorten(name)!r}" for name in missing]
            keys = dict.fromkeys(name_key(name) for name in names if name not in missing)
            selected = [by_key[key] for key in keys]
        is_used = False
        for voice in selected:
            if reason := why_unsupported(voice, style):
                sentence = f"style {style.name}: {reason}"
                if names is not None:
                    problems.append(sentence)
                if style.instruct and not voice.supports_instructions:
                    refused[name_key(f"{voice.name} {style.name}")] = sentence
                continue
            is_used = True
            tag = voice_tag(voice, style.language) if style.language else None
            styled = with_style(voice, replace(style, language=tag))
            if (other := by_key.get(name_key(styled.name))) is not None:
                problems.append(
                    f"style {style.name}: {styled.name} is left out: there is a voice {other.name}"
                )
                continue
            variants[name_key(voice.name)] = (*variants.get(name_key(voice.name), ()), styled)
        if names is None and not is_used:
            problems.append(f"style {style.name}: {_why_unused(style, voices)}")
    return StyledVoices(variants, refused, tuple(problems))


def why_unsupported(voice: Voice, style: Style) -> str:
    """Return why ``voice`` does not support ``style``, the middle of a sentence; empty if it does."""
    if style.instruct and not voice.supports_instructions:
        maker = voice.attribution.name or voice.engine
        return f"{voice.name} does not follow instructions ({maker} ignores them)"
    if style.language and voice_tag(voice, style.language) is None:
        return f"{voice.name} does not speak {style.language}"
    return ""


def _why_unused(style: Style, voices: Sequence[Voice]) -> str:
    if style.instruct and not any(voice.supports_instructions for voice in voices):
        return (
            f"no voice here follows instructions; those of {INSTRUCTABLE_MODEL} do: "
            f"--model {INSTRUCTABLE_MODEL}"
        )
    return f"no voice here speaks {style.language}"
