"""Every voice that can be asked for, and which one answers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

from ..speech import SpeechError, Voice, base_language
from ..text import scripts

_LOGGER = logging.getLogger(__name__)

UNDETERMINED = "und"
"""BCP 47 for a language that nobody named: a voice of many languages hears it from the text."""


class UnknownVoice(SpeechError):  # noqa: N818 - what it is
    """A name that no voice has."""

    code = "unknown-voice"


class VoiceCatalog:
    """The voices in the order of the engines that speak them; the first is the default."""

    def __init__(
        self, voices: Sequence[Voice], default: str | None = None, language: str | None = None
    ) -> None:
        """``default``: a voice's name; without it the first that speaks ``language``, else the first.

        Raises UnknownVoice where ``default`` names none of ``voices``.
        """
        self._voices = tuple(voices)
        self._by_name = {_key(voice.name): voice for voice in reversed(self._voices)}
        if not self._voices:
            raise UnknownVoice("no engine has a voice")
        self.default = self._voices[0]
        if default is None:
            self.default = self.find(None, language)
        elif found := self._by_name.get(_key(default)):
            self.default = found
        else:
            names = ", ".join(voice.name for voice in self._voices)
            raise UnknownVoice(f"voice {default!r} is not one of: {names}")

    @property
    def voices(self) -> Sequence[Voice]:
        """All voices, the default first, as clients take the first they are shown."""
        return (self.default, *(voice for voice in self._voices if voice is not self.default))

    def find(self, name: str | None, language: str | None = None) -> Voice:
        """Return the voice called ``name``, else one that speaks ``language``, else the default.

        Case, spaces, hyphens and underscores do not count in a name. A client's idea of a voice can be
        older than ours, so an unknown one is a warning, not an error.
        """
        if name:
            if found := self._by_name.get(_key(name)):
                return found
            _LOGGER.warning("No voice %r here; %s speaks", name, self.default.name)
        if language:
            for matches in (_same_tag, _same_base):
                if found := self._first(language, matches):
                    return found
        return self.default

    def has(self, name: str | None) -> bool:
        """Tell whether a voice is called ``name``."""
        return bool(name) and _key(name or "") in self._by_name

    def reader(self, voice: Voice, text: str) -> Voice:
        """Return ``voice`` if it can read the script of ``text``, else the first voice that can.

        Raises SpeechError (``no-voice-for-script``) where no voice can.
        """
        written = scripts.script(text)
        if any(scripts.reads(language, written) for language in voice.languages):
            return voice
        for language in scripts.LANGUAGES.get(written, ()):
            if found := self._first(language, _same_base):
                _LOGGER.info("%s cannot read %s letters; %s speaks", voice.name, written.lower(), found.name)
                return found
        raise SpeechError(
            f"no installed voice reads {written.lower()} letters ({text[:20]!r}…)", "no-voice-for-script"
        )

    def language(self, voice: Voice, wanted: str | None) -> str:
        """Return the language that ``voice`` speaks a text in: ``wanted``, or its only one, else ``und``."""
        if wanted:
            for matches in (_same_tag, _same_base):
                for tag in voice.languages:
                    if matches(tag, wanted):
                        return tag
        first = voice.languages[0]
        return first if all(_same_base(first, tag) for tag in voice.languages) else UNDETERMINED

    def _first(self, language: str, matches: Callable[[str, str], bool]) -> Voice | None:
        """Return who speaks ``language``: of the first engine that can, the voice that was born to it."""
        able = [voice for voice in self.voices if any(matches(tag, language) for tag in voice.languages)]
        native = [v for v in able if v.engine == able[0].engine and matches(v.languages[0], language)]
        return next(iter(native or able), None)


def _key(name: str) -> str:
    return "".join(character for character in name.casefold() if character.isalnum())


def speaks(voice: Voice, language: str | None) -> bool:
    """Tell whether ``voice`` speaks ``language`` (BCP 47), of whatever region."""
    return language is not None and any(_same_base(tag, language) for tag in voice.languages)


def _same_tag(one: str, other: str) -> bool:
    return _key(one) == _key(other)


def _same_base(one: str, other: str) -> bool:
    return base_language(one) == base_language(other)
