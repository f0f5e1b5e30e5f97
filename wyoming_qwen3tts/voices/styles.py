"""Manners of speaking that a household gave names, and the voices that they make.

A file of TOML, one table a style:

    [calm]
    instruct = "Speak slowly and calmly, in a low voice."
    speed = 0.9
    gain = -3
    voices = ["Ryan", "Serena"]

Home Assistant can ask for nothing but a voice, so every style of a voice is a voice too: ``Ryan (calm)``.
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
from .names import autonym, brief, key

NOT_SUPPORTED = "style-not-supported"
"""The code of an error that says what a voice cannot do."""
LONGEST_NAME = 40
"""Characters of a style's name: with a voice's name before it, it still fits a line of a phone."""
LONGEST_INSTRUCT = 500
"""Characters of an instruction; the model reads it before every sentence."""
LARGEST_SEED = 2**32 - 1
EVERYBODY = 1
"""The highest rank of voice that a style for everybody is for: of last resorts there are a hundred."""
CLEAREST = "Qwen/Qwen3-TTS-12Hz-1.7B-CustomVoice"
"""A checkpoint whose speakers follow instructions."""

_FORBIDDEN = re.compile(r"[()\[\]{}<>/\\·]")
_TAG = re.compile(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8})*")


@dataclass(frozen=True, slots=True)
class Styles:
    """What a file says."""

    styles: tuple[tuple[Style, tuple[str, ...] | None], ...] = ()
    """Each with the names of the voices that it is for; None is every voice that can, last resorts aside."""
    problems: tuple[str, ...] = ()
    """What was left out and why, a line each."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What styles make of voices."""

    variants: Mapping[str, tuple[Voice, ...]]
    """Name of a voice (its key) → its styles as voices, in the order of the file."""
    refused: Mapping[str, str]
    """Name of a variant that cannot be (its key) → why, a sentence."""
    problems: tuple[str, ...]


# -- reading ------------------------------------------------------------------------------------------------


def read(path: Path) -> Styles:
    """Return the styles in a file; none where there is no file. What is wrong in it is among the problems."""
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
        return Styles(problems=(f"{path} is not TOML: {brief(str(error))}; there are no styles",))
    styles: dict[str, tuple[Style, tuple[str, ...] | None]] = {}
    problems = []
    for name, table in tables.items():
        if not isinstance(table, dict):
            problems.append(f"{path}: {brief(name)} = {_value(table)}: put it under a line [NAME]")
            continue
        try:
            style, names = _style(name, table, {own: style.name for own, (style, _) in styles.items()})
            styles[key(name)] = style, names
        except _StyleError as wrong:
            problems.append(f"{path}: [{brief(name)}] is left out: {wrong}")
    return Styles(tuple(styles.values()), tuple(problems))


class _StyleError(Exception):
    """Why a style is none."""


def _value(value: Any) -> str:
    """Return a value of TOML as a message shows it: the begin of what Python calls it."""
    try:
        return f"{value!r:.40}"
    except (ValueError, RecursionError):  # an integer of thousands of digits, in hexadecimal
        return "something too long to be shown"


def _style(
    name: str, table: dict[str, Any], taken: Mapping[str, str]
) -> tuple[Style, tuple[str, ...] | None]:
    """Return a table as a style, and for whom. ``taken``: names by their keys. Raises _StyleError."""
    _check_name(name)
    if key(name) in taken:
        raise _StyleError(f"the name is that of [{taken[key(name)]}]; only one of them can be")
    for unknown in sorted(table.keys() - _VALUES.keys() - {"voices"}):
        known = ", ".join((*_VALUES, "voices"))
        raise _StyleError(f"{brief(unknown)} = {_value(table[unknown])}: a style has {known}")
    values = {each: check(each, table[each]) for each, check in _VALUES.items() if each in table}
    if not values:
        raise _StyleError(f"it says nothing of {', '.join(_VALUES)}")
    return Style(name, **values), _voices(table.get("voices"))


def _check_name(name: str) -> None:
    """Raise _StyleError where a name cannot stand behind a voice's."""
    if not 0 < len(name) <= LONGEST_NAME:
        raise _StyleError(f"a name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    if _FORBIDDEN.search(name) or any(unicodedata.category(character)[0] == "C" for character in name):
        raise _StyleError("a name has no brackets, slashes, middle dots or control characters")
    if name != name.strip() or not any(character.isalnum() for character in name):
        raise _StyleError("a name has a letter or a digit, and no space at its ends")


def _number(lowest: float, highest: float) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not lowest <= value <= highest:
            raise _StyleError(f"{name} = {_value(value)}: allowed is a number from {lowest:g} to {highest:g}")
        return float(value)

    return check


def _instruct(name: str, value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else ""
    if not text or len(text) > LONGEST_INSTRUCT or "\0" in text:
        raise _StyleError(
            f"{name} = {_value(value)}: allowed are words in quotes, up to {LONGEST_INSTRUCT} characters"
        )
    return text


def _seed(name: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LARGEST_SEED:
        raise _StyleError(f"{name} = {_value(value)}: allowed is a whole number from 0 to {LARGEST_SEED}")
    return value


def _language(name: str, value: Any) -> str:
    if not isinstance(value, str) or not _TAG.fullmatch(value):
        raise _StyleError(f'{name} = {_value(value)}: allowed is a language tag, such as "de" or "pt-BR"')
    return value


def _voices(value: Any) -> tuple[str, ...] | None:
    if value is None:
        return None
    if not isinstance(value, list) or not value or not all(isinstance(name, str) for name in value):
        raise _StyleError(f'voices = {_value(value)}: allowed is a list of names, such as ["Ryan"]')
    return tuple(value)


_VALUES: Mapping[str, Callable[[str, Any], Any]] = {
    "instruct": _instruct,
    "speed": _number(SLOWEST, FASTEST),
    "gain": _number(MIN_STYLE_GAIN, MAX_STYLE_GAIN),
    "language": _language,
    "seed": _seed,
}
"""What a style can say, and how it is checked."""


# -- applying -----------------------------------------------------------------------------------------------


def variant(voice: Voice, style: Style) -> Voice:
    """Return ``voice`` in ``style``, as a voice. The style's language must be one of the voice's tags."""
    only_language = style.language and not style.instruct and style.speed == 1.0 and style.gain == 0.0
    return replace(
        voice,
        name=f"{voice.name} · {style.name}" if only_language else f"{voice.name} ({style.name})",
        base=voice.name,
        style=style,
        seed=voice.seed if style.seed is None else style.seed,
        languages=voice.languages if style.language is None else (style.language,),
    )


def in_language(voice: Voice, language: str) -> Voice | None:
    """Return ``voice`` bound to a language (BCP 47): itself if it has no other, None if it has not got it."""
    tag = own_tag(voice, language)
    if tag is None or len({base_language(each) for each in voice.languages}) == 1:
        return voice if tag else None
    if voice.style is None:
        return variant(voice, Style(autonym(tag), language=tag))
    name = f"{voice.name} · {autonym(tag)}"
    return replace(voice, name=name, style=replace(voice.style, language=tag), languages=(tag,))


def own_tag(voice: Voice, language: str) -> str | None:
    """Return the voice's own tag for a language (BCP 47): that of the same region if it has one, else any."""
    same = [tag for tag in voice.languages if key(tag) == key(language)]
    near = [tag for tag in voice.languages if base_language(tag) == base_language(language)]
    return next(iter(same + near), None)


def apply(styles: Styles, voices: Sequence[Voice]) -> Applied:
    """Return what ``styles`` make of ``voices``, which have no styles yet."""
    by_name = {key(voice.name): voice for voice in voices}
    variants: dict[str, tuple[Voice, ...]] = {}
    refused: dict[str, str] = {}
    problems: list[str] = []
    for style, names in styles.styles:
        chosen = [voice for voice in voices if voice.rank <= EVERYBODY]
        if names is not None:
            missing = [name for name in names if key(name) not in by_name]
            problems += [f"style {style.name}: there is no voice {brief(name)!r}" for name in missing]
            chosen = list({key(name): by_name[key(name)] for name in names if name not in missing}.values())
        made = 0
        for voice in chosen:
            if reason := cannot(voice, style):
                sentence = f"style {style.name}: {reason}"
                if names is not None:
                    problems.append(sentence)
                if style.instruct and not voice.supports_instructions:
                    refused[key(f"{voice.name} {style.name}")] = sentence
                continue
            made += 1
            tag = own_tag(voice, style.language) if style.language else None
            own = variant(voice, replace(style, language=tag))
            if (taken := by_name.get(key(own.name))) is not None:
                problems.append(f"style {style.name}: {own.name} is left out: there is a voice {taken.name}")
                continue
            variants[key(voice.name)] = (*variants.get(key(voice.name), ()), own)
        if names is None and not made:
            problems.append(f"style {style.name}: {_nobody(style, voices)}")
    return Applied(variants, refused, tuple(problems))


def cannot(voice: Voice, style: Style) -> str:
    """Return why ``voice`` cannot speak in ``style``, the middle of a sentence; empty if it can."""
    if style.instruct and not voice.supports_instructions:
        maker = voice.attribution.name or voice.engine
        return f"{voice.name} does not follow instructions ({maker} ignores them)"
    if style.language and own_tag(voice, style.language) is None:
        return f"{voice.name} does not speak {style.language}"
    return ""


def _nobody(style: Style, voices: Sequence[Voice]) -> str:
    if style.instruct and not any(voice.supports_instructions for voice in voices):
        return f"no voice here follows instructions; those of {CLEAREST} do: --model {CLEAREST}"
    return f"no voice here speaks {style.language}"


def instructed(voice: Voice, instructions: str) -> Voice:
    """Return ``voice`` told how to speak, in the place of what its style tells it.

    Raises SpeechError (``style-not-supported``) where it does not listen.
    """
    if not voice.supports_instructions:
        raise SpeechError(f"{voice.name} follows no instructions", NOT_SUPPORTED)
    if len(instructions) > LONGEST_INSTRUCT:
        raise SpeechError(f"instructions have over {LONGEST_INSTRUCT} characters", "text-too-long")
    style = replace(voice.style or Style(""), instruct=instructions)
    return replace(voice, base=voice.speaker, style=style)
