"""Language detection for sentences whose language is not given.

Short sentences are easily mistaken for a related language (Spanish for Portuguese, a song's title for a
language of its own), so another language than the expected one needs clear evidence.
"""

from __future__ import annotations

import functools
import importlib
import logging
import re
from collections.abc import Callable, Mapping, Sequence

from ..speech import LANGUAGES, base_language
from . import scripts

_LOGGER = logging.getLogger(__name__)

SCORE_MARGIN = 0.05
"""The margin (of a score of about 1) by which another language must exceed the expected one."""

LanguageScorer = Callable[[str, Sequence[str]], Mapping[str, float]]
"""(text, languages) → language → score, greater is likelier; languages may be missing."""

_LANGUAGE_NEUTRAL = re.compile(r"\S*[@_/\\]\S*|\S*\d\S*|\w+\.\w[\w.]*")
"""Addresses, entity ids and numbers, which belong to no language."""
_QUOTED = re.compile(r"[\"“„«»‘][^\"“”„«»‘’]{2,}[\"”“»«’]|(?<!\w)'[^']{2,}'(?!\w)")
"""Quoted titles and names, which may be in any language."""
_WORD = re.compile(r"[^\W\d_]+")
_NAME = re.compile(r"(?<=[\w,] )[A-ZÀ-Þ][\w'’-]*")
"""A capitalized word inside a sentence: a name, or any German noun."""


class DetectorNotInstalledError(Exception):
    """The chosen detector is not installed; the message names the command that installs it."""


def load_scorer(name: str) -> LanguageScorer | None:
    """Return the detector called ``name``: eld, fasttext or off (None). Raises DetectorNotInstalledError.

    Its data is loaded now and not with the first sentence.
    """
    if name == "off":
        return None
    scores = {"eld": _load_eld, "fasttext": _load_fasttext}[name]()
    scores("ready", LANGUAGES)
    return scores


def _load_eld() -> LanguageScorer:
    """Nito-ELD: its compiled build (x86-64), or its Python version."""
    try:
        module = importlib.import_module("eldc")
    except ImportError:
        return _load_eld_in_python()
    module.init()

    @functools.cache
    def detector(languages: tuple[str, ...]) -> Callable[[str], Mapping[str, float]]:
        instance = module.instance()
        instance.set_languages(list(languages))
        instance.set_scores(len(languages))
        return lambda text: dict(instance.detect_details(text).scores)

    return lambda text, languages: detector(tuple(languages))(text)


def _load_eld_in_python() -> LanguageScorer:
    try:
        module = importlib.import_module("eld")
    except ImportError as error:
        raise DetectorNotInstalledError(
            "the language detector is not installed; pip install eldc (or eld)"
        ) from error
    detector = module.LanguageDetector()

    def scores(text: str, languages: Sequence[str]) -> Mapping[str, float]:
        found: Mapping[str, float] = detector.detect(text).scores() or {}
        return {language: score for language, score in found.items() if language in languages}

    return scores


def _load_fasttext() -> LanguageScorer:
    """fasttext-langdetect with fastText's small model, from ``FTLANG_CACHE`` or downloaded once."""
    try:
        module = importlib.import_module("ftlangdetect")
    except ImportError as error:
        wanted = "pip install 'wyoming-qwen3tts[fasttext]'"
        raise DetectorNotInstalledError(
            f"the language detector fasttext is not installed; {wanted}"
        ) from error

    def scores(text: str, languages: Sequence[str]) -> Mapping[str, float]:
        found = module.detect(text, low_memory=True, k=20)
        return {each["lang"]: each["score"] for each in found if each["lang"] in languages}

    try:
        scores("ready", LANGUAGES)
    except Exception as error:  # any exception of the download
        wanted = "put lid.176.ftz into the directory FTLANG_CACHE names"
        raise DetectorNotInstalledError(
            f"fasttext has no model and cannot download one ({error}); {wanted}"
        ) from error
    return scores


def _map_regional_tags(tags: Sequence[str]) -> dict[str, str]:
    """Return language → the first of ``tags`` that names a region of it: pt → pt-BR."""
    return {base_language(tag): tag for tag in reversed(tags) if base_language(tag) != tag.lower()}


class LanguageDetector:
    """Detects the language of sentences: by script where that decides, else by a biased detector."""

    def __init__(self, scores: LanguageScorer | None, languages: Sequence[str] = LANGUAGES) -> None:
        """``scores``: a detector, None for the script alone; ``languages``: BCP 47 tags to choose from."""
        self._scores = scores
        self._regional = _map_regional_tags(languages)
        self._languages = tuple(dict.fromkeys(base_language(tag) for tag in languages))

    @property
    def has_scorer(self) -> bool:
        """Whether there is a detector besides the script."""
        return self._scores is not None

    def detect(self, text: str, expected: str, among: Sequence[str] | None = None) -> str:
        """Return the language of ``text`` (BCP 47): ``expected``, unless there is clear evidence against it.

        ``among``: the other languages it can be, of the languages to choose from; None is all of them. The
        result has a region where those languages name one: Brazilian Portuguese is normalized differently.
        """
        found = self._detect(text, expected, among)
        return (
            found
            if found == expected
            else (_map_regional_tags(among or ()) | self._regional).get(found, found)
        )

    def _detect(self, text: str, expected: str, among: Sequence[str] | None) -> str:
        known = self._languages
        if among is not None:
            able_ones = {base_language(tag) for tag in among}
            known = tuple(language for language in known if language in able_ones)
        base = base_language(expected)
        written = self._detect_script(text, base)
        if written != scripts.LATIN:
            if scripts.can_read(base, written):
                return expected
            able = scripts.LANGUAGES_OF_SCRIPT.get(written, ())
            first = able[0] if able else expected
            return next((language for language in able if language in known), first)
        return self._detect_latin(text, expected, known)

    def _detect_script(self, text: str, expected: str) -> str:
        """Return the script of ``text``; a few Latin words in another script do not count."""
        written = scripts.detect_script(text)
        if written != scripts.LATIN:
            return written
        letters = [character for character in text if character.isalpha()]
        others = [character for character in letters if ord(character) > 0x36F]
        if not others:
            return written
        other = scripts.detect_script("".join(others))
        # A character of Chinese or Korean carries about as much as three letters.
        weight = 1 if other == "CYRILLIC" else 3
        if scripts.can_read(expected, other) or weight * len(others) > len(letters) - len(others):
            return other
        return written

    def _detect_latin(self, text: str, expected: str, known: tuple[str, ...]) -> str:
        base = base_language(expected)
        known = tuple(dict.fromkeys((base, *known)))
        if len(known) < 2:
            return expected
        text = _LANGUAGE_NEUTRAL.sub(" ", text)
        unquoted = _QUOTED.sub(" ", text)
        if len(_WORD.findall(unquoted)) > 1:
            text = unquoted
        if self._scores is None or len(_WORD.findall(text)) < 2:
            return expected
        best = self._find_likeliest(text, base, known)
        nameless = _NAME.sub(" ", text)
        if (
            best != base
            and len(_WORD.findall(nameless)) > 1
            and self._find_likeliest(nameless, base, known) != best
        ):
            return expected  # only the names are in another language
        return expected if best == base else best

    def _find_likeliest(self, text: str, base: str, known: tuple[str, ...]) -> str:
        """Return the likeliest language; ``base`` if none exceeds it by the margin."""
        assert self._scores is not None
        try:
            scores = self._scores(text, known)
        except Exception:
            _LOGGER.warning(
                "language: detection failed, expected language stays text=%r", text[:60], exc_info=True
            )
            return base
        best = max(scores, key=lambda language: scores[language], default=base)
        return best if scores.get(best, 0) - scores.get(base, 0) > SCORE_MARGIN else base
