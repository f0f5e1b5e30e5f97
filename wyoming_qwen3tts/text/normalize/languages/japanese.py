"""Japanese: numbers in kanji, units in katakana."""

from __future__ import annotations

import re
from typing import ClassVar

from .. import units
from ..numbers import Number
from ..rules.rule import DASH, Match, Rules, text_before
from . import chinese_numerals
from .cjk import CjkLanguage

_MYRIADS = ("", "万", "億", "兆")


class Japanese(CjkLanguage):
    """Japanese."""

    language_code = "ja"
    minus, plus, point, dot, slash, dash, underscore = (
        "マイナス",
        "プラス",
        "点",
        "ドット",
        "スラッシュ",
        "ハイフン",
        "アンダーバー",
    )
    at, colon, range_word, number_word, hashtag = "アットマーク", "コロン", "から", "ナンバー", "ハッシュタグ"
    symbols: ClassVar = {
        "of": "、満点", "per": "毎", "&": "アンド", "@": "アットマーク", "+": "プラス", "=": "イコール", "×": "かける", "÷": "割る", "<": "小なり", ">": "大なり",
        "≤": "以下", "≥": "以上", "±": "プラスマイナス", "≈": "約", "≠": "ノットイコール", "~": "約", "^": "の累乗", "√": "ルート",
        "∞": "無限大", "°": "度", "§": "セクション", "©": "コピーライト", "®": "", "™": "", "%": "パーセント", "‰": "パーミル",
        "/": "スラッシュ", "?": "クエスチョン", "→": "から", "#": "シャープ", "*": "アスタリスク", "µ": "マイクロ", "♯": "シャープ", "x": "かける", "x times": "倍",
        "−": "マイナス", "№": "ナンバー", "$": "ドル", "€": "ユーロ", "£": "ポンド", "¢": "セント", "¥": "円", "π": "パイ", "＋": "プラス",
        "－": "マイナス", "＝": "イコール", "＞": "大なり", "＜": "小なり", "℃": "度", "％": "パーセント",
    }  # fmt: skip
    months = tuple(
        f"{n}月" for n in ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")
    )
    episode_format = "シーズン{}、第{}話"
    score_cues = "(?:スコア|得点)[はが：:]?"
    abbreviations: ClassVar = {"24/7": "二十四時間年中無休"}
    range_ends = "時分日月年円度%％個人台階"
    weekday_dash = r"(?<=[月火水木金土日曜])(?<!\d[月日])[-–—~～〜](?P<day>[月火水木金土日])(?P<yo>曜?)(?:(?![一-龠])|(?<=曜)(?=日))"
    code_cues = r"PIN|暗証番号|パスワード|認証コード|コード|郵便番号"
    version_cues = "バージョン|Python|iOS|Android|macOS"

    def cardinal(self, value: int, gender: str = "m") -> str:
        return chinese_numerals.cardinal(value, _MYRIADS, one=False, zero=False)

    def ordinal(self, value: int, gender: str = "m") -> str:
        return f"{self.cardinal(value)}番目"

    def spell_digits(self, text: str) -> str:
        return chinese_numerals.spell_digits(text, "ゼロ")

    def decimal_digits(self, text: str) -> str:
        return chinese_numerals.spell_digits(text)

    def decimal(self, number: Number) -> str:
        return f"{self.cardinal(number.value)}点{chinese_numerals.spell_digits(number.fraction)}"

    def version_word(self) -> str:
        return "バージョン"

    def rate(self, number: Number, name: units.UnitName, top: str, bottom: str) -> str:
        words = self.number(number) + name.one
        if (top, bottom) in {("km", "h"), ("m", "s"), ("m", "min"), ("mi", "h")}:
            return {"h": "時速", "s": "秒速", "min": "分速"}[bottom] + words
        if bottom in units.TIME_SYMBOLS:
            return f"毎{self._denominators[bottom]}{words}"
        return f"{words}毎{self._denominators[bottom]}"

    def measure(self, number: Number, symbol: str) -> str | None:
        if units.canonical_symbol(symbol) == "mph":
            return f"時速{self.number(number)}マイル"
        if units.canonical_symbol(symbol) == "°F":
            return f"華氏{self.number(number)}度"
        return super().measure(number, symbol)

    def _measure(self, m: Match) -> str | None:
        words = super()._measure(m)
        before = text_before(m).rstrip()
        if words and before.endswith(("時速", "秒速", "分速", "風速")):  # the text already has the word
            words = words.removeprefix("時速").removeprefix("秒速")
        return words

    def per_unit(self, top: str, bottom: str) -> str:
        return f"毎{self._denominators[bottom]}"

    def amount_per_unit(self, words: str, bottom: str) -> str:
        return f"{words}毎{self._denominators[bottom]}"

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = f"{self.cardinal(hour)}時"
        if minute or second:
            words += f"{self.cardinal(minute)}分"
        return words + (f"{self.cardinal(second)}秒" if second else "")

    def fraction(self, top: int, bottom: int) -> str:
        return f"{self.cardinal(bottom)}分の{self.cardinal(top)}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        return f"{self.cardinal(whole)}と{self.fraction(top, bottom)}"

    def ip_octet(self, text: str) -> str:
        return self.spell_digits(text)

    def telephone(self, text: str) -> str:
        groups = re.findall(r"\d+", text)
        words = "の".join(self.spell_digits(group) for group in groups)
        return f"プラス{words}" if text.startswith("+") else words

    def proportion(self, low: str, high: str) -> str:
        return f"{low}対{high}"

    def power(self, base: str, exponent: Number) -> str:
        return f"{base}の{self.number(exponent)}乗"

    def _scientific(self, m: Match) -> str:
        exponent = Number(m["e"].lstrip("+-"), negative=m["e"].startswith("-"))
        return f"{self.number(self.parse_number(m['n'], m['sign']))}かける{self.power('十', exponent)}"

    # --- rules ---

    def leading_rules(self) -> Rules:
        yield from super().leading_rules()
        yield "phone-ja", r"(?<!\d)0\d{1,4}-\d{1,4}-\d{3,4}(?!\d)", lambda m: self.telephone(m[0])
        yield "postal", r"〒\s?(?P<n>\d{3}-\d{4})", lambda m: "郵便番号" + self.telephone(m["n"])
        yield (
            "call",
            r"(?<!\d)1(?:10|19|04|17|71|77)(?=番)",
            lambda m: {"110": "百十", "119": "百十九"}.get(m[0], self.spell_digits(m[0])),
        )
        yield (
            "match",
            rf"(?P<n>\d{{1,3}})(?:{DASH}|対)(?P<to>\d{{1,3}})(?=で(?:勝|負|敗|引))",
            lambda m: self.proportion(self._cardinal_or_digits(m["n"]), self._cardinal_or_digits(m["to"])),
        )
        yield from self.tilde_rules()
        yield "days", self.weekday_dash, self._day_range
        yield (
            "block",
            r"(?<=[一-龠ぁ-んァ-ヶ])(?!\d\d?-\d\d?-(?:19|20)\d\d(?!\d))\d{1,3}(?:-\d{1,4}){2,3}(?![\d-])",
            lambda m: "の".join(self._cardinal_or_digits(part) for part in m[0].split("-")),
        )
        yield (
            "era",
            r"(?:(?<=令和|平成|昭和|大正|明治)|(?<![A-Za-z\d])(?P<l>[MTSHR]))(?P<y>\d{1,2})[./](?P<m>\d{1,2})[./](?P<d>\d{1,2})(?![\d./])",
            self._era_date,
        )
        yield (
            "day-week-holiday",
            r"[（(](?P<d>[月火水木金土日])[・･](?P<h>祝日?|休日?|振休)[)）]",
            lambda m: f"、{m['d']}曜日、{m['h']}",
        )
        yield "day-week", r"[（(](?P<d>[月火水木金土日])[)）]", lambda m: f"、{m['d']}曜日"

    def _day_range(self, m: Match) -> str:
        """月-金: weekdays need 曜, or they would be moon and gold."""
        before = "" if re.search("曜日?$", text_before(m)) else "曜"
        return f"{before}{self.range_word}{m['day']}曜"

    def _era_date(self, m: Match) -> str | None:
        """R6.5.3: the letter is that of an era."""
        era = {"M": "明治", "T": "大正", "S": "昭和", "H": "平成", "R": "令和"}.get(m["l"], "")
        date = self._date_or_none(None, int(m["m"]), int(m["d"]), text_before(m))
        return f"{era}{self.cardinal(int(m['y']))}年{date}" if date else None

    def language_rules(self) -> Rules:
        yield "times", r"(?P<n>\d+)x(?!\w)", lambda m: f"{self.cardinal(int(m['n']))}倍"
        yield (
            "range-ja",
            rf"(?P<n>{self.num}){DASH}(?P<to>{self.num})(?!{DASH}?\d|\s?[=＝])",
            self._range_of_numbers,
        )
