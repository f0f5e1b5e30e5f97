"""Lookup of a voice by the names in a request."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ..speech import SpeechError, Voice
from . import names
from .names import name_key
from .styles import with_language

_BEFORE_STYLE = re.compile(r"\s*[(·]")
"""Separator between the name of a voice and that of a style or language."""


@dataclass(frozen=True, slots=True)
class NameMatch:
    """The result of a lookup."""

    voice: Voice | None
    """None if the names match no voice."""
    unknown: Sequence[str] = ()
    """Names that match nothing."""


class NameLookup:
    """Finds voices by name. Case, spaces, hyphens and other punctuation do not matter."""

    def __init__(
        self,
        voices: Mapping[str, Voice],
        all_voices: Sequence[Voice],
        style_keys: frozenset[str],
        refusals: Mapping[str, tuple[str, str]],
    ) -> None:
        """``voices``: those without a style, by key of their name; ``all_voices``: all, the preferred first.

        ``style_keys``: keys of the names of styles. ``refusals``: key of a name that cannot be used → message
        and code of the error.
        """
        self._voices = voices
        self._by_key = {name_key(voice.name): voice for voice in reversed(all_voices)} | dict(voices)
        self._by_name = {voice.name: voice for voice in reversed(all_voices)}
        self._style_keys = style_keys
        self._refusals = refusals

    def get(self, name: str) -> Voice | None:
        """Return the voice with this whole name; None if there is none."""
        return self._by_key.get(name_key(name))

    def find(self, name: str) -> Voice | None:
        """Return the voice called ``name``, which may include a style or language; None if there is none.

        Raises SpeechError for a style that the voice cannot have, and for a voice that cannot be used.
        """
        if found := self._find_exactly(name):
            return found
        for first, second in names.split_name(name):
            if name_key(first) in self._refusals and not self._is_style(name[len(first) :], second):
                continue
            voice = self._find_exactly(first)
            if voice is not None and (found := self._with_style(voice, second)):
                return found
        return None

    def match(self, name: str | None, speaker: str | None, default: Callable[[], Voice]) -> NameMatch:
        """Return the voice that a request's names match. Raises SpeechError as ``find``.

        ``speaker``: a style of the voice, or a voice if ``name`` matches none. ``default`` returns the voice
        whose style it is if neither is a voice.
        """
        unknown = []
        voice = self.find(name) if name else None
        if name and voice is None and name_key(name) not in names.OPENAI_VOICES:
            unknown.append(name)
        if speaker and voice is None and (other := self.find(speaker)) is not None:
            return NameMatch(other, unknown)
        if voice is None and unknown:
            voice = self._find_without_style(unknown[0])
        if speaker and name_key(speaker) not in {name_key(name or ""), name_key(voice.name if voice else "")}:
            styled = self._with_style(voice or default(), speaker)
            if styled is None:
                unknown.append(speaker)
            voice = styled or voice
        return NameMatch(voice, unknown)

    def _is_style(self, rest: str, name: str) -> bool:
        """Return whether ``rest``, after a voice's name, can only be a style; ``name``: its words."""
        if _BEFORE_STYLE.match(rest) or self._is_style_or_language(name):
            return True
        return any(
            self._is_style_or_language(one) and self._is_style_or_language(two)
            for one, two in names.split_name(name)
        )

    def _is_style_or_language(self, name: str) -> bool:
        return name_key(name) in self._style_keys or names.find_language(name) is not None

    def _find_exactly(self, name: str) -> Voice | None:
        """Return the voice with this whole name, or the most similar to OpenAI's voice of that name.

        Raises SpeechError if the name is that of a voice that cannot be used: no other may take its place.
        """
        key = name_key(name)
        if found := self._by_name.get(name) or self._by_key.get(key):
            return found
        if refusal := self._refusals.get(key):
            raise SpeechError(*refusal)
        similar = map(name_key, names.OPENAI_VOICES.get(key, ()))
        return next((self._voices[each] for each in similar if each in self._voices), None)

    def _with_style(self, voice: Voice, name: str) -> Voice | None:
        """Return ``voice`` in the style or language called ``name``; None if it has no such style."""
        for own in (voice.name, voice.speaker):
            key = name_key(f"{own} {name}")
            if (found := self._by_key.get(key)) and found.style and found.speaker == voice.speaker:
                return found
            if refusal := self._refusals.get(key):
                raise SpeechError(*refusal)
        language = names.find_language(name)
        if language is None:
            return None
        bound = with_language(voice, language)
        return self._by_key.get(name_key(bound.name), bound) if bound is not None else None

    def _find_without_style(self, name: str) -> Voice | None:
        """Return the voice in ``name`` if what follows it looks like a style: only the style is unknown."""
        name = name[: names.LONGEST_SPLIT]
        ends = [match.start() for match in _BEFORE_STYLE.finditer(name)]
        return next((found for end in reversed(ends) if (found := self._find_exactly(name[:end]))), None)
