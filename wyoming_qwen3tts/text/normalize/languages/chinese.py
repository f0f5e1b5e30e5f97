"""Mandarin Chinese, in simplified characters, or in traditional ones where the text or the region has those."""

from __future__ import annotations

import functools
import re
from typing import ClassVar

from .. import number_context, units
from ..currencies import currency_symbols, find_currency
from ..numbers import Number
from ..rules.rule import DASH, Match, Rules, text_after, text_before
from . import chinese_numerals
from .cjk import CjkLanguage

_MYRIADS = ("", "万", "亿", "万亿")
_SIMPLIFIED = (
    "万个两亚亿仑华单卢厘号吨块声层岁币帧幂库开张报摄时杠条来权楼欧满点热电盏码礼种约纳线组编罗节证话贝负转辆邮钟键镑门问间韩顷项题验鲁尔兹"
    "划周无穷于减让对发这会为说时们国过还没区长书车马见学爱买卖东给应该现请设关灯厅卧湿温拨递汤麦双颗盘门场轮类页顿块罐壶头户栋则样岁项节"
)
_TRADITIONAL = (
    "萬個兩亞億侖華單盧釐號噸塊聲層歲幣幀冪庫開張報攝時槓條來權樓歐滿點熱電盞碼禮種約納線組編羅節證話貝負轉輛郵鐘鍵鎊門問間韓頃項題驗魯爾茲"
    "劃週無窮於減讓對發這會為說時們國過還沒區長書車馬見學愛買賣東給應該現請設關燈廳臥濕溫撥遞湯麥雙顆盤門場輪類頁頓塊罐壺頭戶棟則樣歲項節"
)
"""The same characters in both scripts: all that normalization writes, and some that are common in texts."""
_TO_TRADITIONAL = str.maketrans(_SIMPLIFIED, _TRADITIONAL)
_ONLY_SIMPLIFIED, _ONLY_TRADITIONAL = (
    re.compile(f"[{''.join(set(some) - set(others) - set('厘周于'))}]")
    for some, others in ((_SIMPLIFIED, _TRADITIONAL), (_TRADITIONAL, _SIMPLIFIED))
)


def _both(words: str) -> str:
    """Return characters, or alternatives of a pattern, in both scripts."""
    return f"{words}{'|' if '|' in words else ''}{words.translate(_TO_TRADITIONAL)}"


@functools.lru_cache(maxsize=8)
def _is_traditional(text: str) -> bool:
    return bool(_ONLY_TRADITIONAL.search(text)) and not _ONLY_SIMPLIFIED.search(text)


_LIANG = _both(
    "个盏台只次扇条张把位名件间种份封本部辆首项组套瓶杯块片段天周年小升公千里克米吨度倍遍声层点秒分万亿百美欧英日元韩"
    "双颗枝支根盒袋包箱盘碗家门款场轮类排行列页步口餐顿句块毛堂罐壶盆朵棵匹头幅束串户幢栋艘架则道样桶勺滴夜晚岁尺寸回趟项人集节隻"
)
"""Measure words, and first characters of units, before which 2 is 两."""


class Chinese(CjkLanguage):
    """Chinese."""

    language_code = "zh"
    regions = frozenset({"tw", "hk", "mo", "hant"})
    minus, plus, point, dot, slash, dash, underscore = "负", "加", "点", "点", "斜杠", "杠", "下划线"
    at, colon, range_word, number_word, hashtag = "艾特", "冒号", "到", "第", "话题"
    symbols: ClassVar = {
        "of": "，满分", "per": "每", "&": "和", "@": "艾特", "+": "加", "=": "等于", "×": "乘以", "÷": "除以", "<": "小于", ">": "大于", "≤": "小于等于", "≥": "大于等于",
        "±": "正负", "≈": "约等于", "≠": "不等于", "~": "大约", "^": "的幂", "√": "根号", "∞": "无穷大", "°": "度", "§": "第", "©": "版权",
        "®": "", "™": "", "%": "百分比", "‰": "千分比", "/": "每", "?": "问号", "→": "到", "#": "井号", "*": "星号", "µ": "微", "♯": "升", "x": "乘",
        "x times": "倍", "−": "减", "№": "号", "$": "美元", "€": "欧元", "£": "英镑", "¢": "分", "¥": "元", "π": "派", "·": "", "＋": "加",
        "－": "减", "＝": "等于", "＞": "大于", "＜": "小于",
    }  # fmt: skip
    months = tuple(
        f"{n}月" for n in ("一", "二", "三", "四", "五", "六", "七", "八", "九", "十", "十一", "十二")
    )
    episode_format = "第{}季第{}集"
    score_cues = "(?:比分|得分)[是为為：:]?"
    abbreviations: ClassVar = {"24/7": "全天候"}
    range_ends = _both("时点分日月年号元度天周秒层楼岁")
    weekday_dash = r"(?<=[周週期拜][一二三四五六日天])[-–—~～](?=(?:周|週|星期|[礼禮]拜)[一二三四五六日天])"
    code_cues = _both("PIN|密码|验证码|邮编|代码|编号|房间号|电话|邮递区号|房号")
    version_cues = "版本|Python|iOS|Android|macOS"

    def __init__(self, region: str = "") -> None:
        self._traditional = bool(region)
        super().__init__(region)

    def _append_words(self, words: list[str], result: str, text: str, match: Match) -> None:
        """Append words in the script of the text, where the region does not decide."""
        if not self._traditional and _is_traditional(text):
            result = result.translate(_TO_TRADITIONAL)
        super()._append_words(words, result, text, match)

    def adapt_to_region(self, words: str, written: str) -> str:
        return words.translate(_TO_TRADITIONAL) if self._traditional else words

    def cardinal(self, value: int, gender: str = "m") -> str:
        words = chinese_numerals.cardinal(value, _MYRIADS, one=True, zero=True)
        return re.sub(r"二(?=千|万|亿)|^二(?=百)|(?<=[万亿])二(?=百)", "两", words) if value >= 200 else words

    def cardinal_before_noun(self, value: int, gender: str) -> str:
        return "两" if value == 2 else self.cardinal(value)

    def ordinal(self, value: int, gender: str = "m") -> str:
        return f"第{self.cardinal(value)}"

    def year(self, value: int) -> str:
        return self.spell_digits(str(value)) if value >= 1000 else self.cardinal(value)

    def decimal(self, number: Number) -> str:
        return f"{self.cardinal(number.value)}点{self.spell_digits(number.fraction)}"

    def measure(self, number: Number, symbol: str) -> str | None:
        symbol = units.canonical_symbol(symbol)
        if symbol in {"%", "%RH", "‰"}:
            sign = "负" if number.negative else ""
            return f"{sign}{'千' if symbol == '‰' else '百'}分之{self.number(Number(number.whole, number.fraction))}"
        if symbol in {"°C", "°F", "°"}:
            sign = "零下" if number.negative and symbol != "°F" else "负" if number.negative else ""
            name = {"°C": "摄氏度", "°F": "华氏度", "°": "度"}[symbol]
            return f"{sign}{self.number(Number(number.whole, number.fraction))}{name}"
        return super().measure(number, symbol)

    def rate(self, number: Number, name: units.UnitName, top: str, bottom: str) -> str:
        words = self.number(number, before_noun=True) + name.one
        return (
            f"每{self._denominators[bottom]}{words}"
            if bottom in units.TIME_SYMBOLS
            else f"{words}每{self._denominators[bottom]}"
        )

    def per_unit(self, top: str, bottom: str) -> str:
        return f"每{self._denominators[bottom]}"

    def amount_per_unit(self, words: str, bottom: str) -> str:
        return f"每{self._denominators[bottom]}{words}"

    def unit_name(self, symbol: str) -> str | None:
        words = super().unit_name(symbol)
        return {"%": "百分比"}.get(symbol, words)

    def money(self, number: Number, code: str) -> str:
        name = find_currency("zh", code).major[0]
        if code == "CNY" and number.value and len(number.fraction) == 2 and number.fraction.strip("0"):
            whole = self.number(Number(number.whole, "", number.negative), before_noun=True)
            return f"{whole}元{self._cents(number.fraction)}"
        if not number.fraction.strip("0"):
            number = Number(number.whole, "", number.negative)
        return self.number(number, before_noun=True) + name

    def _cents(self, fraction: str) -> str:
        """Return the hundredths of a yuan: 三角二分."""
        tens, ones = fraction[0], fraction[1]
        words = f"{self.cardinal_before_noun(int(tens), 'm')}角" if tens != "0" else "零"
        return words + (f"{self.cardinal(int(ones))}分" if ones != "0" else "")

    def _money(self, m: Match) -> str | None:
        number = self.parse_number(m["n"])
        small = not number.value and len(number.fraction) == 2 and number.fraction.strip("0")
        if small and not m["scale"] and not m["sign"] and currency_symbols("zh")[m["cur"]] == "CNY":
            return self._cents(number.fraction).removeprefix("零")
        return super()._money(m)

    def time(
        self, hour: int, minute: int, second: int | None = None, half: str = "", before: str = ""
    ) -> str:
        words = f"{self.cardinal_before_noun(hour, 'm')}点"
        if minute or second:
            words += f"{'零' if minute < 10 and minute else ''}{self.cardinal(minute)}分"
        if second:
            words += f"{self.cardinal(second)}秒"
        return words

    def fraction(self, top: int, bottom: int) -> str:
        return f"{self.cardinal(bottom)}分之{self.cardinal(top)}"

    def mixed_number(self, whole: int, top: int, bottom: int) -> str:
        return f"{self.cardinal(whole)}又{self.fraction(top, bottom)}"

    def consumption(self, liters: str, distance: str) -> str:
        return f"每{distance}{liters}"

    def ip_octet(self, text: str) -> str:
        return self.spell_digits(text)

    def telephone_group(self, digits: str) -> str:
        return self.spell_digits(digits).replace("一", "幺")

    def telephone(self, text: str) -> str:
        groups = re.findall(r"\d+", text)
        words = "".join(self.telephone_group(group) for group in groups)
        return f"加{words}" if text.startswith("+") else words

    def proportion(self, low: str, high: str) -> str:
        return f"{low}比{high}"

    def power(self, base: str, exponent: Number) -> str:
        if exponent.negative:
            return f"{base}的{self.number(exponent)}次方"
        return f"{base}的{'平方' if exponent.whole == '2' else '立方' if exponent.whole == '3' else self.number(exponent) + '次方'}"

    def _scientific(self, m: Match) -> str:
        exponent = Number(m["e"].lstrip("+-"), negative=m["e"].startswith("-"))
        return f"{self.number(self.parse_number(m['n'], m['sign']))}乘以{self.power('十', exponent)}"

    def plain_number(self, number: Number, m: Match) -> str:
        text, before, after = m["n"], text_before(m).rstrip(), text_after(m).lstrip()
        if number.negative and re.match(r"(?:到|至|~|～)\s?[-−]?[\d.]+\s?[度°℃]", after):
            return "零下" + self.number(Number(number.whole, number.fraction))
        if text == "2" and re.match(r"[点點]\d{1,2}分", after):
            return "两"
        if text == "2" and after.startswith("分") and before.endswith(("点", "时", "點", "時")):
            return "二"
        if (
            text == "2"
            and not number.negative
            and not number_context.LABELS.search(before)
            and after[:1] in _LIANG
            and after[:1]
            and not before.endswith(("第", "星期", "周", "週"))
        ):
            if after[0] in "月日号楼號樓":
                return "二"
            if not (after.startswith("分之") or (after[0] in "点點" and after[1:2].isdecimal())):
                return "两"
        return self._as_year(text, before, after) or self.number(number)

    def _as_year(self, text: str, before: str, after: str) -> str | None:
        """Return a year, digit by digit from 1000 on; None if the number is not a year."""
        era = re.search(r"(?:公元|西元|[纪紀]元)前?\s?$", before) and len(text) < 4
        if after.startswith("年") and not era and not re.match("年(?:前|后|後|来|來|内|內|间|間|以)", after):
            if len(text) == 4 or (len(text) == 2 and text[0] in "0789" and not after.startswith("年代")):
                return self.spell_digits(text)
        elif era:
            return self.cardinal(int(text)).replace("两", "二")
        elif re.fullmatch(r"(?:1\d|20)\d\d", text) and (
            re.search(r"[日号號][,，]?\s?$", before) or re.match(r"[,，]?\s?\d{1,2}\s?月", after)
        ):
            return self.spell_digits(text)  # the year of a date
        return None

    # --- rules ---

    def leading_rules(self) -> Rules:
        yield from super().leading_rules()
        num = self.num
        yield (
            "per-cent-range",
            rf"(?P<n>{num})\s?%?\s?(?:{DASH}|~|～|〜|到|至)\s?(?P<to>{num})\s?%",
            self._unless_label(self._percent_range),
        )
        yield (
            "per-unit",
            rf"(?<=[一-龠])/(?={_both('小时|天|月|年|分钟|秒|次|人|度|升|公升|公斤|千克|平方米|立方米|平方公尺|个|件|张|台|位')})",
            lambda m: self.symbols["per"],
        )
        yield "day-range", self.weekday_dash, lambda m: self.range_word
        yield (
            "above-zero",
            rf"(?<![A-Za-z\d)])\+(?P<n>{num})\s?(?P<u>°C|℃|度)",
            lambda m: f"零上{self.number(self.parse_number(m['n']))}{'度' if m['u'] == '度' else '摄氏度'}",
        )
        yield (
            "degree",
            rf"(?P<sign>{self.negative})?(?P<n>{num})\s?(?:度|℃)(?=[^\w]|[，。！？、的到和左右]|$)",
            self._degree,
        )
        yield (
            "day-week",
            r"(?<=[日号號\d])\s?[（(](?P<d>[一二三四五六日天])[)）]",
            lambda m: f"，星期{m['d']}",
        )
        yield "ratio-word", r"(?P<a>\d+):(?P<b>\d)(?!\d)", self._ratio
        yield "phone-zh", r"(?<!\d)1[3-9]\d{9}(?!\d)", lambda m: self.telephone(m[0])
        yield "phone-zh2", r"(?<!\d)(?:400|800)-?\d{3}-?\d{4}(?!\d)", lambda m: self.telephone(m[0])
        yield "call", r"(?<!\d)(?:1[0-2]\d|12\d{3}|9\d{4}|10\d{3})(?!\d)", self._hotline
        yield (
            "range-zh",
            rf"(?P<n>{num})\s?(?:~|～|〜|-|–|—)\s?(?P<to>{num})(?=[{_both('个分小天元度岁年月日号点周秒米公里人次倍名层楼万')}])",
            self._unless_label(self._word_range),
        )

    def language_rules(self) -> Rules:
        yield (
            "quarter",
            r"(?<!\w)Q(?P<q>[1-4])\s(?P<y>20\d\d)(?!\d|年)",
            lambda m: f"{self.year(int(m['y']))}年第{self.cardinal(int(m['q']))}季度",
        )
        yield "room", r"(?<!\d)\d{3,4}(?=[室房])", lambda m: self.spell_digits(m[0])
        yield "times", r"(?P<n>\d+)x(?!\w)", lambda m: f"{self.cardinal_before_noun(int(m['n']), 'm')}倍"

    def _range_unit(self, m: Match) -> str | None:
        words = super()._range_unit(m)
        return re.sub("^负", "零下", words) if words and units.canonical_symbol(m["u"]) == "°C" else words

    def _hotline(self, m: Match) -> str | None:
        return (
            self.telephone(m[0]) if re.search(_both("拨|热线|报警|急救|致电|客服"), text_before(m)) else None
        )

    def _percent_range(self, m: Match) -> str:
        return (
            f"百分之{self.number(self.parse_number(m['n']))}到百分之{self.number(self.parse_number(m['to']))}"
        )

    def _degree(self, m: Match) -> str | None:
        number = self.parse_number(m["n"])
        sign = "零下" if m["sign"] else ""
        words = self.number(number)
        return f"{sign}{words}{'摄氏度' if '℃' in m[0] else '度'}"

    def _word_range(self, m: Match) -> str:
        low, high = self.parse_number(m["n"]), self.parse_number(m["to"])
        after = text_after(m)[:1]
        counted = after not in "月日号號年"
        return f"{self.number(low, before_noun=counted)}到{self.number(high, before_noun=counted)}"
