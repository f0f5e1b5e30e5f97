"""Telephone numbers, and codes with * and #."""

from __future__ import annotations

import re

from .base import RuleBase
from .rule import LETTER, START, Match, Rules, text_before


class TelephoneRules(RuleBase):
    """The rules for telephone numbers and dial codes."""

    def telephone_rules(self) -> Rules:
        """Yield the rules for telephone numbers."""
        yield (
            "star-code",
            rf"(?<![{LETTER}\d_*＊#＃/])(?:[*＊#＃]{{1,4}}\+?\d{{1,20}}(?:[*＊#＃]{{1,2}}\+?\d{{1,20}}){{0,4}}[#＃*＊]{{0,4}}|\d{{1,20}}(?:[*＊]\d{{1,20}}){{1,4}}[#＃]|\d{{3,20}}[#＃])(?![{LETTER}\d_*＊#＃])",
            self._star_code,
        )
        yield "phone+", r"\+\d{1,3}(?:[ .()/-]{0,2}\d{1,5}){2,7}(?!\d)", self._phone
        yield "phone-1", rf"{START}(?:1[-. ])?\(?\d{{3}}\)?[-. ]\d{{3}}[-.]\d{{4}}(?!\d)", self._phone
        yield (
            "phone-2",
            rf"{START}\(0?\d{{2,4}}\)[ -]?\d{{3,5}}[- ]?\d{{2,5}}(?:[- ]\d{{2,4}})?(?!\d)",
            self._phone,
        )
        yield "phone-3", rf"{START}0\d{{1,4}}(?:[ /-]{{1,3}}\d{{2,8}}){{1,4}}(?![\d.,:]\d)", self._phone
        yield "phone-5", rf"{START}\d{{3}}-\d{{2}}-\d{{4}}(?![\d-])", self._phone
        yield "phone-4", rf"{START}\d{{3}}-\d{{4}}(?![\d-])", self._phone

    def _phone(self, m: Match) -> str | None:
        count = sum(c.isdecimal() for c in m[0])
        return self.telephone(m[0]) if 6 <= count <= 15 else None

    def _star_code(self, m: Match) -> str | None:
        """A dial code, key by key; a single # is a number sign, and * between numbers is a product."""
        if re.fullmatch(r"[#＃]\d+", m[0]) or re.search(r"[\d)]\s$", text_before(m)):
            return None
        words = [
            self.plus if key == "+" else self.spell_digits(key) if key.isdecimal() else self.key_name(key)
            for key in m[0]
        ]
        return self.join(words)
