"""SSML → text with language, voice and rate, and breaks.

Parsing is as tolerant as a browser's of HTML: elements that are not closed, not known or not SSML are
replaced by their text. Only HTML's entities and character references are expanded, none that the document
declares, so its size cannot grow.
"""

from __future__ import annotations

import html
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from html.parser import HTMLParser

from .phonemes import annotate_word

SayAs = Callable[[str, str, str, str], str]
"""(interpret-as, format, text, language) → spoken form; missing values are empty."""

MAX_BREAK_SECONDS = 10.0
"""The longest break, in seconds."""
BREAK_SECONDS = {"none": 0.0, "x-weak": 0.1, "weak": 0.25, "medium": 0.5, "strong": 1.0, "x-strong": 2.0}
"""Strength of a break → seconds."""
RATES = {"x-slow": 0.6, "slow": 0.8, "medium": 1.0, "default": 1.0, "fast": 1.25, "x-fast": 1.6}
MIN_RATE, MAX_RATE = 0.5, 2.0
"""Bounds of the product of nested rates, as factors of the normal speed."""

_MAX_DEPTH = 100
"""The deepest nesting of elements; deeper ones are replaced by their text."""
_EMPTY_ELEMENTS = frozenset(["break", "mark", "lexicon", "meta"])
_SILENT_ELEMENTS = frozenset(["metadata", "desc", "lookup", "token-metadata"])
_BOUNDARY = "\n\n"
_TIME = re.compile(r"\+?(\d{1,9}(?:\.\d{0,9})?|\.\d{1,9})\s*(ms|s)", re.I)
_RATE = re.compile(r"([+-]?)(\d{1,6}(?:\.\d{0,6})?|\.\d{1,6})(%?)")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>")
_LONE_LESS_THAN = re.compile(r"<(?!/?[A-Za-z][^<>]*>)")
_UNFINISHED_TAG = re.compile(r"</?[A-Za-z][^<>]*\Z")
_CDATA = re.compile(r"<!\[CDATA\[(.*?)\]\]>", re.S)
_PROLOG = re.compile(r"<\?[^<>]*\?>|<!DOCTYPE[^<>\[]*(?:\[[^\]]*\]\s*)?>", re.I)
_SSML_START = re.compile(
    r"[\s\ufeff]*(?:<\?xml[^<>]*\?>\s*|<!DOCTYPE[^<>]*>\s*|<!--[^<>]*-->\s*){0,5}<(?:ssml:)?speak[\s/>]",
    re.I,
)


@dataclass(frozen=True, slots=True)
class SsmlText:
    """Text with the same settings; a blank line in it separates sentences. None: the value of the request."""

    text: str
    language: str | None = None
    voice: str | None = None
    rate: float = 1.0


@dataclass(frozen=True, slots=True)
class SsmlBreak:
    """A break: silence."""

    seconds: float


def is_ssml(text: str) -> bool:
    """Tell whether ``text`` is SSML: it begins with ``<speak``, after an optional XML prolog."""
    return _SSML_START.match(text) is not None


def parse_ssml(
    document: str, *, say_as: SayAs | None = None, pronunciations: bool = False
) -> list[SsmlText | SsmlBreak]:
    """Return the content of an SSML document in order; neighbours with the same settings are merged.

    ``say_as`` returns the spoken form of ``<say-as>``, whose ``detail`` replaces a missing ``format``;
    without it letters are separated and other text stays. ``pronunciations``: keep those of ``<phoneme>``, as
    annotations of ``phonemes``.
    """
    if not _TAG.search(document):
        text = document.strip()
        return [SsmlText(text)] if text else []
    reader = _SsmlReader(say_as or _spell_characters, pronunciations=pronunciations)
    # Python versions parse these differently.
    document = _UNFINISHED_TAG.sub("", _PROLOG.sub("", _remove_comments(document)))
    document = _CDATA.sub(lambda data: html.escape(data[1]), document)
    reader.feed(_LONE_LESS_THAN.sub("&lt;", document))
    reader.close()
    return reader.finish()


@dataclass(slots=True)
class _OpenElement:
    """An open element: the settings of its content, and the conversion at its end."""

    tag: str
    settings: SsmlText
    convert: Callable[[str], str] | None = None
    text: list[str] | None = None
    """The content, collected for ``convert``."""


class _SsmlReader(HTMLParser):
    def __init__(self, say_as: SayAs, *, pronunciations: bool) -> None:
        super().__init__(convert_charrefs=True)
        self._pronunciations = pronunciations
        self._say_as = say_as
        self._open = [_OpenElement("", SsmlText(""))]
        self._items: list[SsmlText | SsmlBreak] = []
        self._pending_text: list[str] = []
        self._settings = SsmlText("")

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: (value or "").strip() for name, value in attrs}
        tag = tag.removeprefix("ssml:")
        if tag == "break":
            self._append_break(attributes)
        if tag in {"p", "s"}:
            self._append_text(_BOUNDARY)
        if tag in _EMPTY_ELEMENTS or len(self._open) >= _MAX_DEPTH:
            return
        element = _OpenElement(tag, _derive_settings(tag, attributes, self._open[-1].settings))
        element.convert = self._find_conversion(tag, attributes, element.settings.language or "")
        if element.convert is not None:
            element.text = []
        self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        tag = tag.removeprefix("ssml:")
        if tag in {"p", "s"}:
            self._append_text(_BOUNDARY)
        if any(element.tag == tag for element in self._open[1:]):
            while self._open[-1].tag != tag:
                self._close_element(complete=False)
            self._close_element(complete=True)

    def handle_data(self, data: str) -> None:
        self._append_text(re.sub(r"\s+", " ", data))

    def finish(self) -> list[SsmlText | SsmlBreak]:
        """Return the whole content; elements that are still open end here."""
        while len(self._open) > 1:
            self._close_element(complete=False)
        self._flush_text()
        return self._items

    def _find_conversion(
        self, tag: str, attributes: dict[str, str], language: str
    ) -> Callable[[str], str] | None:
        if tag == "sub" and attributes.get("alias"):
            alias = attributes["alias"]
            return lambda _: alias
        if tag == "phoneme" and self._pronunciations and attributes.get("alphabet", "ipa").lower() == "ipa":
            pronunciation = attributes.get("ph", "")
            return lambda text: annotate_word(text, pronunciation)
        if tag == "say-as":
            form = attributes.get("format") or attributes.get("detail", "")
            return lambda text: self._say_as(attributes.get("interpret-as", ""), form, text, language)
        return (lambda _: "") if tag in _SILENT_ELEMENTS else None

    def _close_element(self, *, complete: bool) -> None:
        """End the innermost element; the content of one that was not closed is kept without conversion."""
        element = self._open.pop()
        if element.text is None or element.convert is None:
            return
        text = "".join(element.text)
        inner = text.strip()
        if complete and element.tag in _SILENT_ELEMENTS:
            text = ""
        elif complete and (inner or element.tag == "sub"):
            before, after = (" " if inner and text[edge].isspace() else "" for edge in (0, -1))
            text = f"{before}{element.convert(inner)}{after}"
        self._append_text(text)

    def _append_text(self, text: str) -> None:
        """Append text to the innermost element that collects its content, or to the result."""
        settings = self._open[-1].settings
        for element in reversed(self._open):
            if element.text is not None:
                element.text.append(" " if text == _BOUNDARY else text)
                return
        if text.strip() and settings != self._settings:
            self._flush_text()
            self._settings = settings
        self._pending_text.append(text)

    def _append_break(self, attributes: dict[str, str]) -> None:
        seconds = _parse_break(attributes)
        if seconds and all(element.text is None for element in self._open):
            self._flush_text()
            self._items.append(SsmlBreak(seconds))

    def _flush_text(self) -> None:
        text = re.sub(r" *\n\s*", _BOUNDARY, re.sub(r" {2,}", " ", "".join(self._pending_text))).strip()
        self._pending_text = []
        if text:
            self._items.append(replace(self._settings, text=text))


def _derive_settings(tag: str, attributes: dict[str, str], outer: SsmlText) -> SsmlText:
    """Return the settings of the content of an element, given those of the element around it."""
    language = (
        attributes.get("xml:lang") or (attributes.get("lang") if tag == "lang" else None) or outer.language
    )
    if tag == "voice":
        language = attributes.get("xml:lang") or attributes.get("language") or outer.language
        return SsmlText("", language, attributes.get("name") or outer.voice, outer.rate)
    if tag == "prosody":
        rate = min(MAX_RATE, max(MIN_RATE, outer.rate * _parse_rate(attributes.get("rate", ""))))
        return SsmlText("", language, outer.voice, round(rate, 4))
    return SsmlText("", language, outer.voice, outer.rate)


def _parse_rate(text: str) -> float:
    """Return a prosody rate as a factor; 1.0 if it is invalid."""
    if text.lower() in RATES:
        return RATES[text.lower()]
    match = _RATE.fullmatch(text)
    if match is None:
        return 1.0
    value = float(match[2]) / (100 if match[3] else 1)
    if match[1] and match[3]:
        return 1 + value if match[1] == "+" else 1 - value
    return value or 1.0


def _parse_break(attributes: dict[str, str]) -> float:
    """Return the seconds of a break: its time, else its strength, else those of a full stop."""
    match = _TIME.fullmatch(attributes.get("time", ""))
    if match is None:
        return BREAK_SECONDS.get(attributes.get("strength", "").lower(), BREAK_SECONDS["medium"])
    return min(MAX_BREAK_SECONDS, float(match[1]) / (1000 if match[2].lower() == "ms" else 1))


def _spell_characters(kind: str, form: str, text: str, language: str) -> str:
    if kind in {"characters", "spell-out", "verbatim"}:
        return " ".join(character for character in text if not character.isspace())
    return text


def _remove_comments(document: str) -> str:
    """Remove comments; one without an end is text."""
    parts: list[str] = []
    at = 0
    while (start := document.find("<!--", at)) >= 0 and (end := document.find("-->", start + 4)) >= 0:
        parts.append(document[at:start])
        at = end + 3
    return "".join([*parts, document[at:]])
