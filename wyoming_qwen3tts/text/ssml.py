"""SSML → what to say, in which voice and how fast, and where to pause.

Read as tolerantly as a browser reads HTML: what is not closed, not known or not SSML is read as its text.
Only HTML's entities and numbers are expanded, none of the document's own, so it cannot grow.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser

from .phonemes import annotated

SayAs = Callable[[str, str, str, str], str]
"""(interpret-as, format, text, language) → what to say; what is not given is empty."""

LONGEST_BREAK = 10.0
"""Seconds."""
BREAKS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 2.0}
"""Strength → seconds."""
RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
SLOWEST, FASTEST = 0.5, 2.0
"""Bounds of what nested rates come to, in times the usual speed."""

_DEEPEST = 100
"""Elements within elements; what is deeper is read as text."""
_TEXTLESS = frozenset(["break", "mark", "lexicon", "meta"])
_DROPPED = frozenset(["metadata", "desc", "lookup", "token-metadata"])
_BOUNDARY = "\n\n"
_TIME = re.compile(r"\+?(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(ms|s)", re.I)
_RATE = re.compile(r"([+-]?)(\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})(%?)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_STRAY = re.compile(r"<(?!/?[A-Za-z][^<>]*>)")
_BROKEN_OFF = re.compile(r"</?[A-Za-z][^<>]*\Z")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_PROLOG = re.compile(r"<\?[^<>]*\?>|<!DOCTYPE[^<>\[]*(?:\[[^\]]*\]\s*)?>", re.I)
_BEGINS = re.compile(
    r"[\s\ufeff]*(?:<\?xml[^<>]*\?>\s*|<!DOCTYPE[^<>]*>\s*|<!--[^<>]*-->\s*){0,5}<(?:ssml:)?speak[\s/>]",
    re.I,
)


@dataclass(frozen=True, slots=True)
class Segment:
    """Text with one way to say it; an empty line in it parts sentences. None: as the request says."""

    text: str
    language: str | None = None
    voice: str | None = None
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class Break:
    """Silence."""

    seconds: float


def looks_like(text: str) -> bool:
    """Tell whether ``text`` is meant as SSML: it begins with ``<speak``, whatever XML puts before."""
    return _BEGINS.match(text) is not None


def parse(
    document: str, *, say_as: SayAs | None = None, pronunciations: bool = False
) -> list[Segment | Break]:
    """Return what an SSML document says, in order; neighbours said the same way are one.

    ``say_as`` gives the spoken form of ``<say-as>``, whose ``detail`` stands in for a missing ``format``;
    without it letters are parted and everything else is read as it stands. ``pronunciations``: those of
    ``<phoneme>`` stay with their words, as ``phonemes`` has them.
    """
    if not _TAG.search(document):
        text = document.strip()
        return [Segment(text)] if text else []
    reader = _Reader(say_as or _spell, pronunciations=pronunciations)
    # The parser's own idea of these differs between versions of Python.
    document = _BROKEN_OFF.sub("", _PROLOG.sub("", _without_comments(document)))
    document = _CDATA.sub(lambda data: html.escape(data[1]), document)
    reader.feed(_STRAY.sub("&lt;", document))
    reader.close()
    return reader.finish()


@dataclass(slots=True)
class _Element:
    """An open element: how to say what is in it, and what becomes of it at its end."""

    tag: str
    manner: Segment
    convert: Callable[[str], str] | None = None
    text: list[str] | None = None
    """Collected for ``convert``."""


class _Reader(HTMLParser):
    def __init__(self, say_as: SayAs, *, pronunciations: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._pronunciations = pronunciations
        self._say_as = say_as
        self._open = [_Element("", Segment(""))]
        self._said: list[Segment | Break] = []
        self._text: list[str] = []
        self._manner = Segment("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: (value or "").strip() for name, value in attrs}
        tag = tag.removeprefix("ssml:")
        if tag == "break":
            self._pause(given)
        if tag in {"p", "s"}:
            self._add(_BOUNDARY)
        if tag in _TEXTLESS or len(self._open) >= _DEEPEST:
            return
        element = _Element(tag, _manner(tag, given, self._open[-1].manner))
        element.convert = self._conversion(tag, given, element.manner.language or "")
        if element.convert is not None:
            element.text = []
        self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        tag = tag.removeprefix("ssml:")
        if tag in {"p", "s"}:
            self._add(_BOUNDARY)
        if any(element.tag == tag for element in self._open[1:]):
            while self._open[-1].tag != tag:
                self._close(whole=False)
            self._close(whole=True)

    def handle_data(self, data: str) -> None:
        self._add(re.sub(r"\s+", " ", data))

    def finish(self) -> list[Segment | Break]:
        """Return all that was read; what is still open ends here."""
        while len(self._open) > 1:
            self._close(whole=False)
        self._flush()
        return self._said

    def _conversion(self, tag: str, given: dict[str, str], language: str) -> Callable[[str], str] | None:
        if tag == "sub" and given.get("alias"):
            alias = given["alias"]
            return lambda _: alias
        if tag == "phoneme" and self._pronunciations and given.get("alphabet", "ipa").lower() == "ipa":
            pronunciation = given.get("ph", "")
            return lambda text: annotated(text, pronunciation)
        if tag == "say-as":
            form = given.get("format") or given.get("detail", "")
            return lambda text: self._say_as(given.get("interpret-as", ""), form, text, language)
        return (lambda _: "") if tag in _DROPPED else None

    def _close(self, *, whole: bool) -> None:
        """End the innermost element; one that was left open is read as it stands, so nothing is lost."""
        element = self._open.pop()
        if element.text is None or element.convert is None:
            return
        text = "".join(element.text)
        inner = text.strip()
        if whole and element.tag in _DROPPED:
            text = ""
        elif whole and (inner or element.tag == "sub"):
            before, after = (" " if inner and text[edge].isspace() else "" for edge in (0, -1))
            text = f"{before}{element.convert(inner)}{after}"
        self._add(text)

    def _add(self, text: str) -> None:
        """Add text where it belongs: to the innermost element that collects, or to what is said."""
        manner = self._open[-1].manner
        for element in reversed(self._open):
            if element.text is not None:
                element.text.append(" " if text == _BOUNDARY else text)
                return
        if text.strip() and manner != self._manner:
            self._flush()
            self._manner = manner
        self._text.append(text)

    def _pause(self, given: dict[str, str]) -> None:
        seconds = _seconds(given)
        if seconds and all(element.text is None for element in self._open):
            self._flush()
            self._said.append(Break(seconds))

    def _flush(self) -> None:
        text = re.sub(r" *\n\s*", _BOUNDARY, re.sub(r" {2,}", " ", "".join(self._text))).strip()
        self._text = []
        if text:
            self._said.append(replace(self._manner, text=text))


def _manner(tag: str, given: dict[str, str], outer: Segment) -> Segment:
    """Return how to say what is in an element, given how to say what it is in."""
    language = given.get("xml:lang") or (given.get("lang") if tag == "lang" else None) or outer.language
    if tag == "voice":
        language = given.get("xml:lang") or given.get("language") or outer.language
        return Segment("", language, given.get("name") or outer.voice, outer.rate)
    if tag == "prosody":
        rate = min(FASTEST, max(SLOWEST, outer.rate * _rate(given.get("rate", ""))))
        return Segment("", language, outer.voice, round(rate, 4))
    return Segment("", language, outer.voice, outer.rate)


def _rate(text: str) -> float:
    """Return a prosody rate as a factor; 1.0 for what is none."""
    if text.lower() in RATES:
        return RATES[text.lower()]
    match = _RATE.fullmatch(text)
    if match is None:
        return 1.0
    value = float(match[2]) / (100 if match[3] else 1)
    if match[1] and match[3]:
        return 1 + value if match[1] == "+" else 1 - value
    return value or 1.0


def _seconds(given: dict[str, str]) -> float:
    """Return how long a break is: as its time says, else its strength, else like a full stop's."""
    match = _TIME.fullmatch(given.get("time", ""))
    if match is None:
        return BREAKS.get(given.get("strength", "").lower(), BREAKS["medium"])
    return min(LONGEST_BREAK, float(match[1]) / (1000 if match[2].lower() == "ms" else 1))


def _spell(kind: str, form: str, text: str, language: str) -> str:
    if kind in {"characters", "spell-out", "verbatim"}:
        return " ".join(character for character in text if not character.isspace())
    return text


def _without_comments(document: str) -> str:
    """Drop comments; one without an end is text."""
    parts: list[str] = []
    at = 0
    while (start := document.find("<!--", at)) >= 0 and (end := document.find("-->", start + 4)) >= 0:
        parts.append(document[at:start])
        at = end + 3
    return "".join([*parts, document[at:]])
