"""Korean: Sino-Korean numerals for measures, native ones for counted things."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import units
from ..numbers import Number
from ..rules.rule import DASH, Match, Rules, text_before
from .cjk import CjkLanguage

_DIGITS = "영일이삼사오육칠팔구"
_SMALL = ("", "십", "백", "천")
_MYRIADS = ("", "만", "억", "조")
_NATIVE_BEFORE = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
_TENS = ("", "열", "스물", "서른", "마흔", "쉰", "예순", "일흔", "여든", "아흔")
_COUNTERS = (
    "개월(?=마다|에 한)|개(?!월|국)|명|사람|살|시간|시(?!즌|리)|대|마리|잔|병|장|권|가지|달|곳|군데|송이|그루|켤레|벌|채|척|통|번째|자루|"
    "접시|그릇|조각|봉지|상자|박스|줄|칸|마디|차례|가구|배(?!터)|모금|스푼|컵|판|쌍|알|번(?!호|지|을 누|을 선택| ?(?:채널|출구|버튼|방|트랙|홈|게이트))"
)
"""Counters with native numerals up to 99."""


def cardinal(value: int) -> str:
    """Return ``value`` in Sino-Korean numerals."""
    if value == 0:
        return _DIGITS[0]
    groups = []
    while value:
        value, group = divmod(value, 10_000)
        groups.append(group)
    result: list[str] = []
    for at in range(len(groups) - 1, -1, -1):
        group = groups[at]
        if not group:
            continue
        words = ""
        for place in (3, 2, 1, 0):
            digit = group // 10**place % 10
            if digit:
                words += ("" if digit == 1 and place else _DIGITS[digit]) + _SMALL[place]
        result.append(("" if group == 1 and at == 1 and len(result) == 0 else words) + _MYRIADS[at])
    return " ".join(result)


def native(value: int) -> str:
    """Return ``value``, 1 to 99, in native numerals, in the form before a counter."""
    tens, ones = divmod(value, 10)
    if tens == 2 and not ones:
        return "스무"
    return _TENS[tens] + _NATIVE_BEFORE[ones]


class Korean(CjkLanguage):
    """Korean."""

    language_code = "ko"
    uses_spaces = True
    attached_prefixes = "제"
    minus, plus, point, dot, slash, dash, underscore = (
        "마이너스",
        "플러스",
        "점",
        "점",
        "슬래시",
        "하이픈",
        "밑줄",
    )
    at, colon, range_word, number_word, hashtag = "골뱅이", "콜론", "에서", "번호", "해시태그"
    symbols: ClassVar = {
        "of": "점, 만점", "per": "당", "&": "앤드", "@": "골뱅이", "+": "더하기", "=": "는", "×": "곱하기", "÷": "나누기", "<": "보다 작음", ">": "보다 큼", "≤": "이하",
        "≥": "이상", "±": "플러스마이너스", "≈": "약", "≠": "같지 않음", "~": "약", "^": "의 제곱", "√": "루트", "∞": "무한대", "°": "도",
        "§": "섹션", "©": "저작권", "®": "", "™": "", "%": "퍼센트", "‰": "퍼밀", "/": "슬래시", "?": "물음표", "→": "에서", "#": "우물정", "*": "별표",
        "µ": "마이크로", "♯": "샵", "x": "곱하기", "x times": "배", "−": "빼기", "№": "번호", "$": "달러", "€": "유로", "£": "파운드",
        "¢": "센트", "¥": "엔", "₩": "원", "π": "파이", "·": "", "℃": "도",
    }  # fmt: skip
    date_words = ("년", "월", "일")
    months = (
        "일월",
        "이월",
        "삼월",
        "사월",
        "오월",
        "유월",
        "칠월",
        "팔월",
        "구월",
        "시월",
        "십일월",
        "십이월",
    )
    episode_format = "시즌 {}, {}화"
    score_cues = "(?:점수|스코어)[는가:]?"
    abbreviations: ClassVar = {"24/7": "연중무휴 이십사 시간"}
    range_ends = "시분일월년원도층세"
    weekday_dash = r"(?:(?<=요일)[-–—~～](?=[월화수목금토일]요일)|(?<=[월화수목금토일])(?<!\d[월일])[-–—~～](?P<day>[월화수목금토일])(?![가-힣]))"
    code_cues = r"PIN|비밀번호|인증번호|코드|우편번호|핀"
    version_cues = "버전|Python|iOS|Android|macOS"

    def cardinal(self, value: int, gender: str = "m") -> str:
        return cardinal(value)

    def spell_digits(self, text: str) -> str:
        return "".join(_DIGITS[int(digit)] for digit in text if digit.isdecimal())

    def telephone_group(self, digits: str) -> str:
        return self.spell_digits(digits).replace("영", "공")

    def telephone(self, text: str) -> str:
        groups = re.findall(r"\d+", text)
        words = " ".join(self.telephone_group(group) for group in groups)
        return f"플러스 {words}" if text.startswith("+") else words

    def ordinal(self, value: int, gender: str = "m") -> str:
        return f"{'첫' if value == 1 else native(value) if value < 100 else cardinal(value)} 번째"

    def month(self, month: int) -> str:
        return {6: "유", 10: "시"}.get(month) or cardinal(month)

    def date(self, year: int | None, month: int, day: int, before: str = "") -> str:
        words = f"{self.cardinal(year)}년 " if year is not None else ""
        return f"{words}{self.month(month)}월 {self.cardinal(day)}일"

    def date_and_time(self, date: str, time: str) -> str:
        return f"{date} {time}"

    def decimal(self, number: Number) -> str:
        return f"{self.cardinal(number.value)} 점 {self.spell_digits(number.fraction)}"

    def version_word(self) -> str:
        return "버전"

    def version(self, text: str) -> str:
        return " 점 ".join(self.cardinal(int(part)) for part in text.split("."))

    def measure(self, number: Number, symbol: str) -> str | None:
        symbol = units.canonical_symbol(symbol)
        if symbol in {"°C", "°F"}:
            plain = self.number(Number(number.whole, number.fraction))
            if number.negative:
                return f"영하 {plain} 도" if symbol == "°C" else f"화씨 영하 {plain} 도"
            return f"{'섭씨' if symbol == '°C' else '화씨'} {plain} 도"
        if symbol == "h" and not number.fraction and 0 < number.value < 100:
            return f"{native(number.value)} 시간"
        if symbol == "mph":
            return f"시속 {self.number(number)} 마일"
        return super().measure(number, symbol)

    def rate(self, number: Number, name: units.UnitName, top: str, bottom: str) -> str:
        words = f"{self.number(number)} {name.one}"
        if bottom == "h" and top in {"km", "m", "mi"}:
            return f"시속 {words}"
        if bottom == "s" and top in {"km", "m"}:
            return f"초속 {words}"
        return f"{self._denominators[bottom]}당 {words}"

    def _measure(self, m: Match) -> str | None:
        words = super()._measure(m)
        before = text_before(m).rstrip()
        if words and before.endswith(("시속", "초속", "풍속")):  # the text already has the word
            words = words.removeprefix("시속 ").removeprefix("초속 ")
        return words

    def per_unit(self, top: str, bottom: str) -> str:
        return f"{self._denominators[bottom]}당"

    def amount_per_unit(self, words: str, bottom: str) -> str:
        return f"{self._denominators[bottom]}당 {words}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = f"{native(hour) if 0 < hour <= 12 else self.cardinal(hour)} 시"
        if minute or second:
            words += f" {self.cardinal(minute)} 분"
        return words + (f" {self.cardinal(second)} 초" if second else "")

    def fraction(self, top: int, bottom: int) -> str:
        return f"{self.cardinal(bottom)}분의 {self.cardinal(top)}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        return f"{self.cardinal(whole)}와 {self.fraction(top, bottom)}"

    def consumption(self, liters: str, distance: str) -> str:
        return f"{distance}당 {liters}"

    def ip_octet(self, text: str) -> str:
        return self.spell_digits(text)

    def range(self, low: str, high: str) -> str:
        return f"{low}에서 {high}"

    def proportion(self, low: str, high: str) -> str:
        return f"{low} 대 {high}"

    def power(self, base: str, exponent: Number) -> str:
        if exponent.negative:
            return f"{base}의 {self.number(exponent)} 제곱"
        return f"{base}의 {'제곱' if exponent.whole == '2' else '세제곱' if exponent.whole == '3' else self.number(exponent) + ' 제곱'}"

    def _scientific(self, m: Match) -> str:
        exponent = Number(m["e"].lstrip("+-"), negative=m["e"].startswith("-"))
        return f"{self.number(self.parse_number(m['n'], m['sign']))} 곱하기 {self.power('십', exponent)}"

    def _needs_space_after(self, last: str, after: str) -> bool:
        return not ("가" <= after <= "힣" or after == "~")  # particles follow their word without a space

    def _append_words(self, words: list[str], result: str, text: str, match: Match) -> None:
        if result.startswith(("에서", "요일")):  # belongs to the word before it
            words.append(result)
        else:
            super()._append_words(words, result, text, match)

    # --- rules ---

    def leading_rules(self) -> Rules:
        yield from super().leading_rules()
        num = self.num
        yield (
            "phone-ko",
            r"(?<!\d)(?:0\d{1,2}|1\d{3})-\d{3,4}(?:-\d{4})?(?!\d)",
            lambda m: self.telephone(m[0]),
        )
        yield (
            "call",
            r"(?<!\d)(?P<n>1(?:19|12|14|20|31|32|82))(?=번|에 (?:전화|신고))",
            lambda m: {"119": "일일구", "112": "일일이", "114": "일일사"}.get(
                m["n"], self.spell_digits(m["n"])
            ),
        )
        yield (
            "clock-word",
            r"(?<!\d)(?P<h>\d{1,2})\s?시(?!간|즌|리|스|작|도|장|내|민|청|계)(?:\s?(?P<min>\d{1,2})\s?분)?",
            self._written_clock,
        )
        yield (
            "degree",
            rf"(?P<sign>{self.negative})(?P<n>{num})\s?도",
            lambda m: f"영하 {self.number(self.parse_number(m['n']))} 도",
        )
        yield (
            "tilde-counter",
            rf"(?P<n>\d+)\s?(?:{DASH}|~|～)\s?(?P<to>\d+)\s?(?P<c>{_COUNTERS})",
            self._unless_label(self._counted_range),
        )
        yield from self.tilde_rules()
        yield "day-week", r"\s?\((?P<d>[월화수목금토일])\)", lambda m: f" {m['d']}요일"
        yield (
            "days",
            self.weekday_dash,
            lambda m: f"요일{self.range_word} {m['day']}요일" if m["day"] else f"{self.range_word} ",
        )
        yield (
            "above-zero",
            rf"(?<![A-Za-z\d)])\+(?P<n>{num})\s?(?:°C|℃|도)",
            lambda m: f"영상 {self.number(self.parse_number(m['n']))} 도",
        )
        yield (
            "result",
            r"(?<![\d.,])(?P<a>\d{1,3})대(?P<b>\d{1,3})(?![\d.,])",
            lambda m: self.proportion(self._cardinal_or_digits(m["a"]), self._cardinal_or_digits(m["b"])),
        )
        yield from self._dotted_date_rules()
        yield (
            "counter",
            rf"(?<![\d.,])(?P<n>\d{{1,2}}|\d{{1,3}}(?:,\d{{3}})+|\d{{3,}})\s?(?P<c>{_COUNTERS})",
            self._counter,
        )
        yield "month-count", r"(?<!\d)(?P<n>\d+)\s?개월", lambda m: f"{self.cardinal(int(m['n']))} 개월"

    def _dotted_date_rules(self) -> Rules:
        """Yield the rules for dates with points: 2024. 12. 24."""
        yield (
            "date-dots",
            r"(?<![\d.])(?P<y>\d{4})\. (?P<m>\d{1,2})\. (?P<d>\d{1,2})(?:\.|(?![\d]))",
            self._dotted_date,
        )
        weekday = r"(?=\s?\([월화수목금토일]\))"
        short = r"(?P<y>\d{2})\.\s?(?P<m>\d{1,2})\.\s?(?P<d>\d{1,2})\.?"
        yield "date-apostrophe", rf"['’]{short}(?![\d.])", self._dotted_date
        yield "date-short", rf"(?<![\d.]){short}{weekday}", self._dotted_date
        yield "date-day", rf"(?<![\d.])(?P<m>\d{{1,2}})\.\s?(?P<d>\d{{1,2}})\.?{weekday}", self._dotted_date

    def language_rules(self) -> Rules:
        yield (
            "times",
            r"(?P<n>\d+)x(?!\w)",
            lambda m: f"{native(int(m['n'])) if 0 < int(m['n']) < 100 else self.cardinal(int(m['n']))} 배",
        )
        yield "compare", rf"(?P<n>{self.num})\s?(?P<s>[<>])\s?(?P<to>{self.num})", self._compare
        yield (
            "range-ko",
            rf"(?P<n>{self.num}){DASH}(?P<to>{self.num})(?!{DASH}?\d|\s?[=＝])",
            self._range_of_numbers,
        )

    def _compare(self, m: Match) -> str:
        low = self.number(self.parse_number(m["n"]))
        topic = "은" if (ord(low[-1]) - 0xAC00) % 28 else "는"
        return f"{low}{topic} {self.number(self.parse_number(m['to']))}보다 {'크다' if m['s'] == '>' else '작다'}"

    def _dotted_date(self, m: Match) -> str | None:
        year = int(m["y"]) if m.groupdict().get("y") else None
        year = year + 2000 if year is not None and year < 100 else year
        words = self._date_or_none(year, int(m["m"]), int(m["d"]), text_before(m))
        return words + self._sentence_stop(m) if words else None

    def _range_unit(self, m: Match) -> str | None:
        """A range of temperatures has its scale before both ends."""
        if units.canonical_symbol(m["u"]) != "°C":
            return super()._range_unit(m)
        low, high = self.parse_number(m["n"], m["sign"]), self.number(self.parse_number(m["to"]))
        first = self.number(Number(low.whole, low.fraction))
        if low.negative or m["sign2"]:
            below = "영하" if low.negative else "영상"
            return f"{below} {first}에서 {'영하' if m['sign2'] else '영상'} {high} 도"
        return f"섭씨 {first}에서 {high} 도"

    def _written_clock(self, m: Match) -> str | None:
        hour = int(m["h"])
        if hour > 24:
            return None
        words = f"{native(hour) if 0 < hour <= 12 else self.cardinal(hour)} 시"
        return words + (f" {self.cardinal(int(m['min']))} 분" if m["min"] else "")

    def _counter(self, m: Match) -> str:
        value = int(m["n"].replace(",", ""))
        if m["c"] == "번" and re.search("누르|눌러|선택|버튼", m.string):
            return f"{self.cardinal(value)}번"  # a key of a keypad, and not a count
        if text_before(m).endswith("제"):
            return f"{self.cardinal(value)}{m['c']}"  # a number of a series
        if m["c"] == "번째":
            return self.ordinal(value)
        return f"{native(value) if 0 < value < 100 else self.cardinal(value)} {m['c']}"

    def _counted_range(self, m: Match) -> str:
        low, high = int(m["n"]), int(m["to"])
        if 0 < low < 100 and 0 < high < 100:
            return f"{native(low)}에서 {native(high)} {m['c']}"
        return f"{self.cardinal(low)}에서 {self.cardinal(high)} {m['c']}"
