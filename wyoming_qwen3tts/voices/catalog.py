"""The voice catalog: an immutable snapshot of all voices, and the choice of one for a request."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace

from ..speech import UNDETERMINED, Reference, SpeechError, Style, Voice, base_language
from ..telemetry import quote
from ..text import scripts
from . import names
from .name_lookup import NameLookup, NameMatch
from .names import name_key, shorten
from .styles import NOT_SUPPORTED, Styles, apply_styles, voice_tag, with_style

_LOGGER = logging.getLogger(__name__)

UNUSABLE = "voice-unusable"
"""The code of the error for a voice that exists but cannot be used."""

MAX_LISTED = 10
"""Voices that an error message lists."""
LOG_INTERVAL = 60.0
"""Seconds in which the same unknown name is logged once."""
LOG_LINES = 100
"""Log lines that are remembered for that."""


class UnknownVoiceError(SpeechError):
    """No voice has the requested name."""

    code = "unknown-voice"


class VoiceCatalog:
    """All voices and their styles, in the order of their engines. It never changes."""

    def __init__(
        self,
        voices: Sequence[Voice],
        default: str | None = None,
        language: str | None = None,
        *,
        styles: Styles | None = None,
        prefer: str | None = None,
        unusable: Mapping[str, str] | None = None,
    ) -> None:
        """``default``: the default voice's name. Without it, the voice called ``prefer``, if there is one.

        Otherwise the first voice that speaks ``language``, or the first of all. ``unusable``: names of custom
        voices that cannot be used → why. Raises UnknownVoiceError if ``default`` names no voice.
        """
        if not voices:
            raise UnknownVoiceError("no engine has a voice")
        self._by_key = {name_key(voice.name): voice for voice in reversed(voices)}
        self._voices = tuple(voice for voice in voices if self._by_key[name_key(voice.name)] is voice)
        self._duplicates = [voice for voice in voices if self._by_key[name_key(voice.name)] is not voice]
        """Voices with the name of another one. They can only serve as its fallback."""
        styles = styles or Styles()
        applied = apply_styles(styles, self._voices)
        self.problems: Sequence[str] = (
            *(f"{v.name} of {v.engine} is left out: another voice has that name" for v in self._duplicates),
            *applied.problems,
        )
        """Voices and styles that are left out and why, one sentence each."""
        self._styles = applied.variants
        refusals = {key: (reason, NOT_SUPPORTED) for key, reason in applied.refused.items()}
        for name, reason in (unusable or {}).items():
            refusals.setdefault(name_key(name), (reason, UNUSABLE))
        accents = {voice.name: tuple(self._accented_variants(voice)) for voice in self._voices}
        self._all = tuple(
            each for voice in self._voices for each in (voice, *self.styles_of(voice), *accents[voice.name])
        )
        style_keys = frozenset(name_key(style.name) for style, _ in styles.styles)
        self._lookup = NameLookup(self._by_key, self._all, style_keys, refusals)
        self.is_default_configured = default is not None
        self._logged: dict[str, float] = {}
        """Log lines about unknown names → when they were logged (``time.monotonic``), the latest last."""
        self.default = self._voices[0]
        self.default = self._choose_default(default, prefer, language)

    def _choose_default(self, default: str | None, prefer: str | None, language: str | None) -> Voice:
        if default is not None:
            try:
                found = self._lookup.find(default)
            except SpeechError as error:
                raise UnknownVoiceError(f"voice {default!r}: {error}") from error
            if found is None:
                known = [voice.name for voice in self._voices]
                more = f" and {len(known) - MAX_LISTED} more" if len(known) > MAX_LISTED else ""
                raise UnknownVoiceError(
                    f"voice {default!r} is not one of: {', '.join(known[:MAX_LISTED])}{more}"
                )
            return found
        preferred = self._lookup.get(prefer) if prefer is not None else None
        return preferred or self.find(None, language)

    # -- contents -------------------------------------------------------------------------------------------

    @property
    def voices(self) -> Sequence[Voice]:
        """All voices, including those with a style, the default first."""
        return (self.default, *(voice for voice in self._all if voice is not self.default))

    def styles_of(self, voice: Voice) -> Sequence[Voice]:
        """Return the configured styles of a voice, as voices."""
        return self._styles.get(name_key(voice.name), ())

    @property
    def offered(self) -> Sequence[Voice]:
        """All voices for a client's list: the default first, then by rank, each before its styles.

        Languages that a voice speaks with an accent, and another voice natively, are offered as voices of
        their own, and missing from its ``languages`` here.
        """
        others = [voice for voice in self._all if voice is not self.default]
        ordered = (self.default, *sorted(others, key=lambda voice: voice.rank))
        return [replace(voice, languages=tuple(self._offered_languages(voice))) for voice in ordered]

    def _offered_languages(self, voice: Voice) -> Iterator[str]:
        """Yield the languages that ``voice`` is offered for: its first, and those with no native voice."""
        excluded = set()
        if voice.accented and not (voice.style and voice.style.language):
            native = {base_language(each.languages[0]) for each in self._voices if each.accented}
            excluded = native - {base_language(voice.languages[0])}
        yield from (tag for tag in voice.languages if base_language(tag) not in excluded)

    def _accented_variants(self, voice: Voice) -> Iterator[Voice]:
        """Yield ``voice`` bound to each language that it speaks but is not offered for."""
        offered = set(self._offered_languages(voice))
        existing = {name_key(each.name) for each in self.styles_of(voice)} | self._by_key.keys()
        for tag in voice.languages:
            accented = with_style(voice, Style(names.autonym(tag), language=tag))
            if tag not in offered and name_key(accented.name) not in existing:
                yield replace(accented, rank=max(1, voice.rank))

    def has_recording(self, reference: Reference) -> bool:
        """Return whether a voice is cloned from this recording."""
        return any(voice.reference == reference for voice in self.voices)

    # -- by name --------------------------------------------------------------------------------------------

    def find(self, name: str | None, language: str | None = None, speaker: str | None = None) -> Voice:
        """Return the voice called ``name``, else one that speaks ``language``, else the default.

        ``speaker``: a style of that voice, or a voice if ``name`` is none. Case, spaces, hyphens and other
        punctuation do not matter. Clients may have an old list of voices, so an unknown name is a warning,
        not an error. Raises SpeechError for a style that the voice cannot have, and for a voice that exists
        but cannot be used: another voice would be a surprise.
        """
        match = self._match(name, speaker, language)
        voice = match.voice or self._for_language(language)
        for unknown in match.unknown:
            requested, used = quote(shorten(unknown)), quote(voice.name)
            if unknown == name:
                self._log(logging.WARNING, f"voices: unknown voice requested={requested} used={used}")
            else:
                self._log(logging.WARNING, f"voices: unknown style requested={requested} voice={used}")
        if match.voice is None and name and not match.unknown:
            requested, used = quote(shorten(name)), quote(voice.name)
            self._log(logging.INFO, f"voices: no voice resembles OpenAI's requested={requested} used={used}")
        return voice

    def has_voice(self, name: str | None, speaker: str | None = None) -> bool:
        """Return whether these names match a voice. Raises SpeechError as ``find``."""
        return self._match(name, speaker, None).voice is not None

    def knows_names(self, name: str | None, speaker: str | None = None) -> bool:
        """Return whether ``find`` would use the voice and the style that these names ask for."""
        try:
            return not self._match(name, speaker, None).unknown
        except SpeechError:
            return False

    def _match(self, name: str | None, speaker: str | None, language: str | None) -> NameMatch:
        return self._lookup.match(name, speaker, lambda: self._for_language(language))

    def _log(self, level: int, line: str) -> None:
        """Log a line, once in LOG_INTERVAL: clients send the same unknown name with every sentence."""
        now = time.monotonic()
        if now - self._logged.get(line, -LOG_INTERVAL) < LOG_INTERVAL:
            return
        self._logged.pop(line, None)
        self._logged[line] = now
        while len(self._logged) > LOG_LINES:
            del self._logged[next(iter(self._logged))]
        _LOGGER.log(level, "%s", line)

    # -- by language and script -----------------------------------------------------------------------------

    def _for_language(self, language: str | None) -> Voice:
        """Return a voice for a language (BCP 47), of the same region if there is one; else the default."""
        if language:
            for matches in (_same_tag, _same_base):
                if found := self._best(language, matches):
                    return found
        return self.default

    def allow_language(self, voice: Voice, language: str) -> Voice:
        """Return ``voice`` with its style not bound to another language, if the voice speaks ``language``."""
        own = self._by_key.get(name_key(voice.speaker))
        if own is None or voice.style is None or speaks(voice, language) or not speaks(own, language):
            return voice
        return replace(voice, languages=own.languages, style=replace(voice.style, language=None))

    def voice_for_script(self, voice: Voice, text: str) -> Voice:
        """Return ``voice`` if it can read the script of ``text``, else the first voice that can.

        A style that is bound to a language does not limit the scripts. Raises SpeechError
        (``no-voice-for-script``) if no voice can read it.
        """
        script = scripts.detect_script(text)
        own = self._by_key.get(name_key(voice.speaker), voice)
        if any(scripts.can_read(language, script) for language in (*voice.languages, *own.languages)):
            return voice
        for language in scripts.LANGUAGES_OF_SCRIPT.get(script, ()):
            if found := self._best(language, _same_base):
                fact = "voices: voice cannot read the script voice=%s script=%s used=%s"
                _LOGGER.info(fact, quote(voice.name), script.lower(), quote(found.name))
                return found
        raise SpeechError(
            f"no installed voice reads {script.lower()} letters ({text[:20]!r}…)", "no-voice-for-script"
        )

    def fallback(self, voice: Voice, language: str, text: str, engines: Sequence[str]) -> Voice | None:
        """Return a voice of the first of ``engines`` that can speak a text instead of ``voice``, if any.

        ``language``: BCP 47, ``und`` if unknown. Voices that speak it come before voices that can only read
        its script, and a voice of the same name before others: another server with the same model has the
        same voice. A custom voice is never a fallback.
        """
        script = scripts.detect_script(text)
        key = name_key(voice.speaker) if voice.reference is None else ""
        for matches in (_same_base, lambda tag, _: scripts.can_read(tag, script)):
            for engine in engines:
                if found := self._best(language, matches, engine, key):
                    return found
        return None

    def spoken_language(self, voice: Voice, wanted: str | None) -> str:
        """Return the language that ``voice`` speaks a text in: ``wanted``, or its only one, else ``und``."""
        if wanted and (tag := voice_tag(voice, wanted)):
            return tag
        first = voice.languages[0]
        return first if all(_same_base(first, tag) for tag in voice.languages) else UNDETERMINED

    def _best(
        self, language: str, matches: Callable[[str, str], bool], engine: str | None = None, key: str = ""
    ) -> Voice | None:
        """Return a voice without a style for ``language``, of the first engine that has one.

        Native voices come before others, the default before others, then the lowest rank. ``matches``:
        compares a voice's tag with ``language``. ``engine``: only voices of this engine, that with the name's
        ``key`` first.
        """
        voices = [self.default, *(voice for voice in self._voices if voice is not self.default)]
        if engine is not None:
            # A fallback is not requested by name, so it may have the name of the voice that it replaces.
            voices = [v for v in (*voices, *self._duplicates) if v.engine == engine and v.reference is None]
        able = [voice for voice in voices if any(matches(tag, language) for tag in voice.languages)]
        if same := next((voice for voice in able if name_key(voice.name) == key), None):
            return same
        native = [v for v in able if v.engine == able[0].engine and matches(v.languages[0], language)]
        return min(native or able, key=lambda v: v.rank if v is not self.default else -1, default=None)


def speaks(voice: Voice, language: str | None) -> bool:
    """Return whether ``voice`` speaks ``language`` (BCP 47), of any region."""
    return language is not None and any(_same_base(tag, language) for tag in voice.languages)


def _same_tag(one: str, other: str) -> bool:
    return name_key(one) == name_key(other)


def _same_base(one: str, other: str) -> bool:
    return base_language(one) == base_language(other)
