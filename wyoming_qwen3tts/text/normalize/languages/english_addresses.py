"""Street addresses in English: house numbers in pairs, directions, street words and American states."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..rules.rule import START, Match, Rules, text_after, text_before

if TYPE_CHECKING:
    from .english import English

_STREETS = {
    "St": "street", "Ave": "avenue", "Av": "avenue", "Blvd": "boulevard", "Rd": "road", "Dr": "drive", "Ln": "lane", "Ct": "court",
    "Pl": "place", "Hwy": "highway", "Pkwy": "parkway", "Pky": "parkway", "Cir": "circle", "Sq": "square", "Ter": "terrace", "Terr": "terrace",
    "Trl": "trail", "Expy": "expressway", "Fwy": "freeway", "Tpke": "turnpike", "Aly": "alley", "Cres": "crescent", "Cl": "close",
    "Gdns": "gardens", "Plz": "plaza", "Xing": "crossing", "Hts": "heights",
}  # fmt: skip
_FULL = (
    "Street Avenue Boulevard Road Drive Lane Court Place Highway Parkway Circle Square Terrace Trail Expressway Freeway Turnpike Alley "
    "Crescent Close Gardens Plaza Way Loop Broadway Row Walk Mews Grove Hill Crossing"
).split()
_SURE = frozenset("Ave Blvd Rd Hwy Pkwy Expy Fwy Tpke".split())
"""Unambiguous abbreviations, whatever follows."""
_PARTS = {
    "Apt": "apartment",
    "Ste": "suite",
    "Bldg": "building",
    "Rm": "room",
    "Flr": "floor",
    "Fl": "floor",
    "apt": "apartment",
}
DIRECTIONS = {
    "N": "north", "S": "south", "E": "east", "W": "west", "NE": "northeast", "NW": "northwest", "SE": "southeast", "SW": "southwest",
}  # fmt: skip
_STATES = {
    "AL": "Alabama", "AK": "Alaska", "AZ": "Arizona", "AR": "Arkansas", "CA": "California", "CO": "Colorado", "CT": "Connecticut",
    "DE": "Delaware", "DC": "D C", "FL": "Florida", "GA": "Georgia", "HI": "Hawaii", "ID": "Idaho", "IL": "Illinois", "IN": "Indiana",
    "IA": "Iowa", "KS": "Kansas", "KY": "Kentucky", "LA": "Louisiana", "ME": "Maine", "MD": "Maryland", "MA": "Massachusetts",
    "MI": "Michigan", "MN": "Minnesota", "MS": "Mississippi", "MO": "Missouri", "MT": "Montana", "NE": "Nebraska", "NV": "Nevada",
    "NH": "New Hampshire", "NJ": "New Jersey", "NM": "New Mexico", "NY": "New York", "NC": "North Carolina", "ND": "North Dakota",
    "OH": "Ohio", "OK": "Oklahoma", "OR": "Oregon", "PA": "Pennsylvania", "RI": "Rhode Island", "SC": "South Carolina",
    "SD": "South Dakota", "TN": "Tennessee", "TX": "Texas", "UT": "Utah", "VT": "Vermont", "VA": "Virginia", "WA": "Washington",
    "WV": "West Virginia", "WI": "Wisconsin", "WY": "Wyoming", "PR": "Puerto Rico",
}  # fmt: skip
_WORDS = frozenset("OK OR IN ME HI OH PA MA LA ID".split())
"""States that are also words or names."""
_ZIPPED = frozenset("DE IN".split())
"""States that are more often countries or words: only with a ZIP code."""
_ROADS = r"(?:I-\d{1,3}|(?:Interstate|Highway|Hwy|Route|Rte|US|SR|Exit|exit|highway|route)[ -]\d{1,3})"
_ORDINAL = r"\d{1,3}(?:st|nd|rd|th)"
_CITY = r"(?:[A-Z][A-Za-z.'’-]+ ){0,3}[A-Z][A-Za-z.'’-]+"
STREET_HINT = rf"\b(?:{'|'.join(_STREETS)}|Rte|Rt)\b"
"""A pattern for sentences that may contain a street."""


class EnglishAddressRules:
    """The rules for street addresses."""

    def __init__(self, normalizer: English) -> None:
        self._normalizer = normalizer

    def rules(self) -> Rules:
        """Yield name, pattern and handler of each rule."""
        streets = "|".join(sorted(_STREETS, key=len, reverse=True))
        full = "|".join(_FULL)
        ways = "|".join(sorted(DIRECTIONS, key=len, reverse=True))
        name = rf"(?:{_ORDINAL}|[A-Z][\w'’-]+\.?|[A-Z](?= [A-Z][a-z]+\b))(?: [A-Z][\w'’-]*){{0,3}}?"
        yield (
            "house",
            rf"{START}(?P<n>\d{{1,5}})(?P<letter>[A-Z])? (?:(?P<way>{ways})\.? )?(?=(?:{name}) (?:{streets}|{full})\b|(?:Broadway|Avenue [A-Z])\b|(?:Loop|Hwy|Highway|Route|Rte) \d)",
            self._house,
        )
        yield "road-way", rf"(?P<road>{_ROADS}) (?P<way>[NSEW])(?!\w|\.\w)", self._road_way
        yield (
            "way",
            rf"(?<![\w.'’-])(?P<way>{ways})\.? (?=(?:{name}) (?:{streets}|{full})\b)",
            lambda m: f"{DIRECTIONS[m['way']]} ",
        )
        yield (
            "street",
            rf"(?<=[a-z\d] )(?P<t>{streets})\b(?P<stop>\.?)(?: (?P<way>{ways})\b(?!\.\w))?",
            self._street,
        )
        yield (
            "highway",
            r"(?<!\w)(?P<t>Hwy|Rte|Rt)\b\.?(?= \d)",
            lambda m: "highway" if m["t"] == "Hwy" else "route",
        )
        yield "saint", r"(?<![\w.])St(?= [A-Z][a-z])", self._saint
        yield "address-part", rf"(?<!\w)(?P<t>{'|'.join(_PARTS)})\b\.? ?#? ?(?=\d|[A-Z]\b)", self._part
        yield "state", rf"(?<=[a-z.], )(?P<s>{'|'.join(_STATES)})\b(?P<rest>\.?)", self._state
        yield "state-zip", rf"(?<=[a-z] )(?P<s>{'|'.join(_STATES)})(?P<rest>)(?= \d{{5}}(?!\d))", self._state

    def _house(self, m: Match) -> str | None:
        year = re.search(r"\b(?:in|since|until|by|of|the|from|after|before)\s$", text_before(m), re.I)
        if year and re.fullmatch(r"(?:1[5-9]|20)\d\d", m["n"]) and not m["way"]:
            return None
        letter = f" {m['letter']}" if m["letter"] else ""
        way = f" {DIRECTIONS[m['way']]}" if m["way"] else ""
        return f"{self.number(m['n'])}{letter}{way} "

    def number(self, text: str) -> str:
        """Return a house number: four digits in pairs, a zero as "oh"."""
        say = self._normalizer.cardinal
        if len(text) < 3 or text[0] == "0" or text.endswith("000"):
            return say(int(text)) if text[0] != "0" else self._normalizer.spell_digits(text)
        if len(text) == 3 and text[1] != "0":
            return say(int(text))
        head, *pairs = [text[:-4], text[-4:-2], text[-2:]] if len(text) == 5 else [text[:-2], text[-2:]]
        if text.endswith("00"):
            return f"{say(int(text[:-2]))} hundred" if len(text) < 5 else say(int(text))
        return " ".join([say(int(head)), *(self._pair(pair) for pair in pairs)])

    def _pair(self, pair: str) -> str:
        say = self._normalizer.cardinal
        if pair == "00":
            return "hundred"
        return f"oh {say(int(pair))}" if pair[0] == "0" else say(int(pair))

    def _road_way(self, m: Match) -> str:
        return f"{self._normalizer.normalize(m['road'])} {DIRECTIONS[m['way']]}"

    def _street(self, m: Match) -> str | None:
        before, rest = text_before(m), text_after(m)
        lettered = m["t"] in _SURE and re.match(r" [A-Z]\b", rest)  # Ave A
        if not lettered and not re.search(rf"(?:[A-Z][\w'’-]+|{_ORDINAL}) $", before):
            return None
        goes_on = (
            re.match(rf" (?!(?:Suite|Apartment|Unit|Floor|Room|Building|{'|'.join(_PARTS)})\b)[A-Z]", rest)
            is not None
        )
        if m["stop"] and m["t"] in {"St", "Dr", "Ave", "Blvd", "Rd"} and not m["way"]:
            return None  # these are in the table of abbreviations
        if goes_on and m["t"] not in _SURE and not m["way"]:
            return None
        if m["t"] == "Dr" and re.search(r"(?:^|[.!?] )[A-Z]\w+ $", before):
            return None
        way = f" {DIRECTIONS[m['way']]}" if m["way"] else ""
        stop = "." if m["stop"] and not m["way"] and (not rest.strip() or goes_on) else ""
        return f"{_STREETS[m['t']]}{way}{stop}"

    def _saint(self, m: Match) -> str | None:
        return None if re.search(rf"(?:[A-Z][a-z'’]+|{_ORDINAL}) $", text_before(m)) else "saint"

    def _part(self, m: Match) -> str | None:
        if m["t"] == "Fl" and not re.search(r", $", text_before(m)):
            return None
        return f"{_PARTS[m['t']]} "

    def _state(self, m: Match) -> str | None:
        """A state after its city; one that is also a word only with a ZIP code, or inside a sentence."""
        before, rest = text_before(m), text_after(m)
        zipped = re.match(r"\s\d{5}(?!\d)", rest)
        if not zipped and not re.search(rf"(?<![\w'’]){_CITY}, $", before):
            return None
        if not zipped and m["s"] in _ZIPPED:
            return None
        ends = re.match(r"\.?\s*(?:[.,;:!?)\"”’]|$)|\s[a-z]", rest) is not None
        if not zipped and (
            not ends
            or (
                m["s"] in _WORDS
                and not re.search(rf"\b(?:in|to|from|of|at|near|for|and|or|via|is) {_CITY}, $", before)
            )
        ):
            return None
        if m["s"] == "OK" and re.match(r"[?!]", rest):
            return None
        return _STATES[m["s"]] + m["rest"]
