"""Every voice that can be asked for, and which one answers."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..speech import UNDETERMINED, Reference, SpeechError, Style, Voice, base_language
from ..text import scripts
from . import names as voice_names
from .names import key
from .styles import NOT_SUPPORTED, Styles, apply, in_language, own_tag, variant

_LOGGER = logging.getLogger(__name__)

UNUSABLE = "voice-unusable"
"""The code of the error for a voice that is there, but cannot be spoken with."""

AGAIN = 60.0
"""Seconds after which what a client wrongly asks for again is logged again."""
REMEMBERED = 100
"""Lines that are known to have been logged."""

_BRACKET = re.compile(r"\s*[(·]")
"""What stands between the name of a voice and that of a style or a language."""


class UnknownVoiceError(SpeechError):
    """A name that no voice has."""

    code = "unknown-voice"


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the names in a request come to."""

    voice: Voice | None
    """None: they name no voice."""
    unknown: Sequence[str] = ()
    """Names that mean nothing here."""


class VoiceCatalog:
    """The voices in the order of the engines that speak them, and their styles. They never change."""

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
        """``default``: a voice's name; without it ``prefer``, if a voice is called so, else the first.

        The first, that is, to speak ``language``. ``unusable``: names of further voices, and why nobody can
        speak with them. Raises UnknownVoiceError where ``default`` names no voice.
        """
        if not voices:
            raise UnknownVoiceError("no engine has a voice")
        self._plain = {key(voice.name): voice for voice in reversed(voices)}
        self._voices = tuple(voice for voice in voices if self._plain[key(voice.name)] is voice)
        twins = [voice for voice in voices if self._plain[key(voice.name)] is not voice]
        self._twins = twins
        styles = styles or Styles()
        self._manners = {key(style.name) for style, _ in styles.styles}
        """What counts in the names of styles, whoever has them."""
        applied = apply(styles, self._voices)
        self.problems: Sequence[str] = (
            *(f"{t.name} of {t.engine} is left out: another voice has that name" for t in twins),
            *applied.problems,
        )
        """What could not be made of voices and styles, a line each."""
        self._styles = applied.variants
        self._refused = {own: (reason, NOT_SUPPORTED) for own, reason in applied.refused.items()}
        for name, reason in (unusable or {}).items():
            self._refused.setdefault(key(name), (reason, UNUSABLE))
        self._foreign = {key(voice.name): tuple(self._accents(voice)) for voice in self._voices}
        self._all = tuple(
            each
            for voice in self._voices
            for each in (voice, *self.styles(voice), *self._foreign[key(voice.name)])
        )
        self._by_name = {key(voice.name): voice for voice in reversed(self._all)} | self._plain
        self._exact = {voice.name: voice for voice in reversed(self._all)}
        self.chosen = default is not None
        """Whether somebody chose the default voice."""
        self.default = self._voices[0]
        self._logged: dict[str, float] = {}
        """Lines about what was asked for, and when they were logged, the latest last."""
        self.default = self._default(default, prefer, language)

    def _default(self, default: str | None, prefer: str | None, language: str | None) -> Voice:
        if default is not None:
            try:
                found = self._named(default)
            except SpeechError as error:
                raise UnknownVoiceError(f"voice {default!r}: {error}") from error
            if found is None:
                names = ", ".join(voice.name for voice in self._voices)
                raise UnknownVoiceError(f"voice {default!r} is not one of: {names}")
            return found
        before = self._by_name.get(key(prefer)) if prefer is not None else None
        return before or self.find(None, language)

    # -- what there is --------------------------------------------------------------------------------------

    @property
    def voices(self) -> Sequence[Voice]:
        """All voices, styles of voices among them, the default first."""
        return (self.default, *(voice for voice in self._all if voice is not self.default))

    def styles(self, voice: Voice) -> Sequence[Voice]:
        """Return the styles that a household gave a voice, as voices."""
        return self._styles.get(key(voice.name), ())

    @property
    def listed(self) -> Sequence[Voice]:
        """All voices as they are offered: the default first, then by rank, each with its styles behind it.

        A voice with an accent is offered only for its own language, and for those that are nobody's: in the
        others it is a voice of its own. Called by name it still speaks them all.
        """
        others = [voice for voice in self._all if voice is not self.default]
        ordered = (self.default, *sorted(others, key=lambda voice: voice.rank))
        return [replace(voice, languages=tuple(self._at_home(voice))) for voice in ordered]

    def _at_home(self, voice: Voice) -> Iterator[str]:
        """Yield the languages that ``voice`` is listed for: its first, and those that nobody was born to."""
        taken = set()
        if voice.accented and not (voice.style and voice.style.language):
            born = {base_language(each.languages[0]) for each in self._voices if each.accented}
            taken = born - {base_language(voice.languages[0])}
        yield from (tag for tag in voice.languages if base_language(tag) not in taken)

    def _accents(self, voice: Voice) -> Iterator[Voice]:
        """Yield ``voice`` for each language that it is not listed for, as a voice that is offered later."""
        at_home = set(self._at_home(voice))
        known = {key(each.name) for each in self.styles(voice)} | self._plain.keys()
        for tag in voice.languages:
            abroad = variant(voice, Style(voice_names.autonym(tag), language=tag))
            if tag not in at_home and key(abroad.name) not in known:
                yield replace(abroad, rank=max(1, voice.rank))

    # -- who is asked for -----------------------------------------------------------------------------------

    def find(self, name: str | None, language: str | None = None, speaker: str | None = None) -> Voice:
        """Return the voice called ``name``, else one that speaks ``language``, else the default.

        ``speaker``: a style of that voice, or a voice, where ``name`` is none. Case, spaces, hyphens and
        other punctuation do not count in names. A client's idea of a voice can be older than ours, so an
        unknown one is a warning, not an error. Raises SpeechError for a style that the voice cannot have, and
        for a voice that is there but unusable: it would be somebody else's sound.
        """
        asked = self._asked(name, speaker, language)
        voice = asked.voice or self._native(language)
        for unknown in asked.unknown:
            what = voice_names.brief(unknown)
            if unknown == name:
                self._log(logging.WARNING, f"No voice {what!r} here; {voice.name} speaks")
            else:
                self._log(logging.WARNING, f"{voice.name} has no style {what!r}")
        if asked.voice is None and name and not asked.unknown:
            what = voice_names.brief(name)
            self._log(logging.INFO, f"No voice like OpenAI's {what!r} here; {voice.name} speaks")
        return voice

    def _log(self, level: int, line: str) -> None:
        """Log a line, but not what was just said: a client asks for one name with every sentence."""
        now = time.monotonic()
        if now - self._logged.get(line, -AGAIN) < AGAIN:
            return
        self._logged.pop(line, None)
        self._logged[line] = now
        while len(self._logged) > REMEMBERED:
            del self._logged[next(iter(self._logged))]
        _LOGGER.log(level, "%s", line)

    def has_recording(self, reference: Reference) -> bool:
        """Tell whether a voice is cloned from this recording."""
        return any(voice.reference == reference for voice in self.voices)

    def has(self, name: str | None, speaker: str | None = None) -> bool:
        """Tell whether these names ask for a certain voice. Raises SpeechError as ``find``."""
        return self._asked(name, speaker, None).voice is not None

    def understands(self, name: str | None, speaker: str | None = None) -> bool:
        """Tell whether these names can be followed to the letter."""
        try:
            return not self._asked(name, speaker, None).unknown
        except SpeechError:
            return False

    def _asked(self, name: str | None, speaker: str | None, language: str | None) -> _Asked:
        unknown = []
        voice = self._named(name) if name else None
        if name and voice is None and key(name) not in voice_names.OPENAI:
            unknown.append(name)
        if speaker and voice is None and (other := self._named(speaker)) is not None:
            return _Asked(other, unknown)
        if voice is None and unknown:
            voice = self._without_style(unknown[0])
        if speaker and key(speaker) not in {key(name or ""), key(voice.name if voice else "")}:
            styled = self._styled(voice or self._native(language), speaker)
            if styled is None:
                unknown.append(speaker)
            voice = styled or voice
        return _Asked(voice, unknown)

    def _named(self, name: str) -> Voice | None:
        """Return the voice that ``name`` means, None if it means none. Raises SpeechError as ``find``."""
        if found := self._simply(name):
            return found
        for first, second in voice_names.two_names(name):
            if key(first) in self._refused and not self._is_style(name[len(first) :], second):
                continue
            voice = self._simply(first)
            if voice is not None and (found := self._styled(voice, second)):
                return found
        return None

    def _is_style(self, rest: str, name: str) -> bool:
        """Tell whether ``rest``, of which ``name`` is the words, can only follow the name of a voice."""
        if _BRACKET.match(rest) or self._is_manner(name):
            return True
        return any(self._is_manner(one) and self._is_manner(two) for one, two in voice_names.two_names(name))

    def _is_manner(self, name: str) -> bool:
        return key(name) in self._manners or voice_names.language(name) is not None

    def _simply(self, name: str) -> Voice | None:
        """Return the voice of exactly that name, or of that name, or the likest one that OpenAI calls so.

        Raises SpeechError for a name that is somebody's who cannot speak: nobody else has a right to it.
        """
        own = key(name)
        if found := self._exact.get(name) or self._by_name.get(own):
            return found
        if refusal := self._refused.get(own):
            raise SpeechError(*refusal)
        names = map(key, voice_names.OPENAI.get(own, ()))
        return next((self._plain[each] for each in names if each in self._plain), None)

    def _styled(self, voice: Voice, name: str) -> Voice | None:
        """Return ``voice`` in the style called ``name``, or in the language; None if it has no such style."""
        for own in (voice.name, voice.speaker):
            whole = key(f"{own} {name}")
            if (found := self._by_name.get(whole)) and found.style and found.speaker == voice.speaker:
                return found
            if refusal := self._refused.get(whole):
                raise SpeechError(*refusal)
        language = voice_names.language(name)
        if language is None:
            return None
        bound = in_language(voice, language)
        return self._by_name.get(key(bound.name), bound) if bound is not None else None

    def _without_style(self, name: str) -> Voice | None:
        """Return the voice that ``name`` looks like a style of: the style may be gone, the voice is not."""
        name = name[: voice_names.LONGEST]
        cuts = [bracket.start() for bracket in _BRACKET.finditer(name)]
        return next((found for cut in reversed(cuts) if (found := self._simply(name[:cut]))), None)

    def _native(self, language: str | None) -> Voice:
        if language:
            for matches in (_same_tag, _same_base):
                if found := self._first(language, matches):
                    return found
        return self.default

    # -- who can --------------------------------------------------------------------------------------------

    def unbound(self, voice: Voice, language: str) -> Voice:
        """Return ``voice`` free to speak ``language``, if it is only its style that binds it to another."""
        own = self._plain.get(key(voice.speaker))
        if own is None or voice.style is None or speaks(voice, language) or not speaks(own, language):
            return voice
        return replace(voice, languages=own.languages, style=replace(voice.style, language=None))

    def reader(self, voice: Voice, text: str) -> Voice:
        """Return ``voice`` if it can read the script of ``text``, else the first voice that can.

        A style that binds a voice to a language takes no script from it. Raises SpeechError
        (``no-voice-for-script``) where no voice can.
        """
        written = scripts.detect_script(text)
        own = self._plain.get(key(voice.speaker), voice)
        if any(scripts.can_read(language, written) for language in (*voice.languages, *own.languages)):
            return voice
        for language in scripts.LANGUAGES_OF_SCRIPT.get(written, ()):
            if found := self._first(language, _same_base):
                _LOGGER.info("%s cannot read %s letters; %s speaks", voice.name, written.lower(), found.name)
                return found
        raise SpeechError(
            f"no installed voice reads {written.lower()} letters ({text[:20]!r}…)", "no-voice-for-script"
        )

    def stand_in(self, voice: Voice, language: str, text: str, engines: Sequence[str]) -> Voice | None:
        """Return who says a text in the place of ``voice``, of the first of ``engines`` that can; None: none.

        ``language``: BCP 47, ``und`` where nobody knows. Who speaks it comes before who can but read it, and
        of one engine's who has the same name: a machine with the same model has the same voice. Nobody's own
        voice is lent to others.
        """
        written = scripts.detect_script(text)
        name = key(voice.speaker) if voice.reference is None else ""
        for can in (_same_base, lambda tag, _: scripts.can_read(tag, written)):
            for engine in engines:
                if found := self._first(language, can, engine, name):
                    return found
        return None

    def language(self, voice: Voice, wanted: str | None) -> str:
        """Return the language that ``voice`` speaks a text in: ``wanted``, or its only one, else ``und``."""
        if wanted and (tag := own_tag(voice, wanted)):
            return tag
        first = voice.languages[0]
        return first if all(_same_base(first, tag) for tag in voice.languages) else UNDETERMINED

    def _first(
        self, language: str, matches: Callable[[str, str], bool], engine: str | None = None, name: str = ""
    ) -> Voice | None:
        """Return who speaks ``language``: of the first engine that can, the voice that was born to it.

        The default before others, and then by rank. No style that nobody asked for. ``engine``: of that one,
        whoever is called ``name`` before others.
        """
        voices = [self.default, *(voice for voice in self._voices if voice is not self.default)]
        if engine is not None:
            # Who stands in is asked for by nobody: it may have the name of the one that cannot speak.
            voices = [v for v in (*voices, *self._twins) if v.engine == engine and v.reference is None]
        able = [voice for voice in voices if any(matches(tag, language) for tag in voice.languages)]
        if twin := next((voice for voice in able if key(voice.name) == name), None):
            return twin
        native = [v for v in able if v.engine == able[0].engine and matches(v.languages[0], language)]
        return min(native or able, key=lambda v: v.rank if v is not self.default else -1, default=None)


def speaks(voice: Voice, language: str | None) -> bool:
    """Tell whether ``voice`` speaks ``language`` (BCP 47), of whatever region."""
    return language is not None and any(_same_base(tag, language) for tag in voice.languages)


def _same_tag(one: str, other: str) -> bool:
    return key(one) == key(other)


def _same_base(one: str, other: str) -> bool:
    return base_language(one) == base_language(other)
