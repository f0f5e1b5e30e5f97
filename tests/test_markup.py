"""Markup removal: Markdown, HTML and emoji, also in sentences cut out of a paragraph."""

from __future__ import annotations

import re
import time
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_qwen3tts.text.markup import remove_markup

MARKDOWN = {
    "**Done.** It is *on* and ***both***.": "Done. It is on and both.",
    "__Bold__ and _italic_, ~~old~~ new": "Bold and italic, old new",
    # What a sentence keeps of an emphasised paragraph.
    "**Note: it is on.": "Note: it is on.",
    "It is on.**": "It is on.",
    "_The light is on.": "The light is on.",
    "这是**重点**内容": "这是重点内容",
    "- milk": "milk",
    "* [x] done\n+ todo\n- [ ] more": "done\ntodo\nmore",
    "- 5 °C": "5 °C",
    "1. Turn on\n2) Close": "1. Turn on\n2) Close",
    "# Title #\n\nText": "Title\nText",
    "Title\n=====\nText\n\n---\n\n* * *": "Title\nText",
    '[text](http://x.y/a_(b) "t"), [this][ref]': "text, this",
    "![a cat](cat.png) [![logo](l.png)](http://x.y)": "a cat logo",
    "[See the docs.": "See the docs.",
    "the docs](https://x.y) say": "the docs say",
    "[ref]: https://x.y\nText": "Text",
    "A [tomato](/təˈmɑːtoʊ/), [Home Assistant](/ˈhoʊm əˈsɪstənt/).": "A tomato, Home Assistant.",
    "[see](/docs/page/), [réseau](/ʁe.zo/) [schön](/ʃøːn/)": "see, réseau schön",
    "At https://x.y/a_b_c*, or <https://x.y/d>, <me@x.y>.": "At https://x.y/a_b_c, or https://x.y/d, me@x.y.",
    "| Room | State |\n|:--|--:|\n| Hall | on |": "Room, State\nHall, on",
    "Go to Settings > Devices & Services > Add-ons.": "Go to Settings, Devices & Services, Add-ons.",
    "Menu >> Settings": "Menu, Settings",
    "**设置** > **设备**": "设置, 设备",
    "`light.kitchen` and ``a`b``": "light.kitchen and ab",
    "```python\nprint('x')\n```\nDone": "print('x')\nDone",
    "```yaml": "",
    "> one\n> > two": "one\ntwo",
    "It is on.[^1] It is off.[2]": "It is on. It is off.",
    r"5 \* 3, a\_b, 1\. Mai, \#1": "5 * 3, a_b, 1. Mai, #1",
}
HTML = {
    "<p>Hi<br>there <b>you</b></p>": "Hi\nthere you",
    "a<script>x < y</script>b<!-- no -->c<style>p{}</style>": "abc",
    "<ul><li>one</li><li class='x'>two</li></ul>": "one\ntwo",
    "<tr><td>a</td><td>b</td>": "a, b,",
    '<img src="c.png" alt="a cat"> and <a href="http://x.y">a link</a>': "a cat and a link",
    "AT&amp;T &lt; R&amp;D&nbsp;&copy; &#8364; &#x41;": "AT&T < R&D © € A",
    "Set &lt;light&gt; or <light>": "Set light or light",
    "&amp;amp;lt;": "<",
    "<![CDATA[x]]>": "x",
}
STARS = {
    "Rated *5 stars* by all.": "Rated 5 stars by all.",
    "*5*, **12** and *100 people*": "5, 12 and 100 people",
    "**Dial *69** to return a call.": "Dial *69 to return a call.",
    "Dial ***69** now.": "Dial *69 now.",
    "Dial **`*#06#`** now.": "Dial *#06# now.",
    "*2024 was great.*": "2024 was great.",
    "*2024 was great.": "2024 was great.",
    "**42** is it": "42 is it",
    "*69 percent* of them": "69 percent of them",
    "*Press 5* now": "Press 5 now",
}
QUOTES_AND_RUBY = {
    "He said <<no>> and left.": "He said «no» and left.",
    "Press >>here<< now.": "Press »here« now.",
    ">>Hier<< steht es.": "»Hier« steht es.",
    "<<Non>>, dit-il.": "«Non», dit-il.",
    "<<Is it on?>> she asked.": "«Is it on?» she asked.",
    "<<5 km>> it says": "«5 km» it says",
    "<<It is on.": "«It is on.",
    "It is off.>> Then he left.": "It is off.» Then he left.",
    "<<¿Qué?>>": "«¿Qué?»",
    "Il dit << bonjour >> et part.": "Il dit « bonjour » et part.",
    "<< Ça va ? >> dit-il.": "« Ça va ? » dit-il.",
    "<< Bonjour.": "« Bonjour.",
    "Ça va ? >>": "Ça va ? »",
    "x<sup>2</sup>, 10<sup>-3</sup> and 1<sup>st</sup>": "x², 10⁻³ and 1st",
    "CO<sub>2</sub>": "CO₂",
    "**#06#** and **\\*69**": "#06# and ＊69",
    ">> one\n>>two": "one\ntwo",
    "<ruby>東京<rt>とうきょう</rt></ruby>に行く": "とうきょうに行く",
    "<ruby>漢<rp>(</rp><rt>かん</rt><rp>)</rp>字<rp>(</rp><rt>じ</rt><rp>)</rp></ruby>です": "かんじです",
    "<ruby><rb>今日</rb><rt>きょう</rt></ruby>は": "きょうは",
    "<ruby class='x'>今日<rt class='y'>きょう</rt></ruby>": "きょう",
    "<ruby>漢字<rt>かんじ</ruby>": "かんじ",
    "<ruby>汉<rt>hàn</rt>字<rt>zì</rt></ruby>": "汉字",
    "<ruby>漢<rt>ㄏㄢˋ</rt></ruby>": "漢",
    "<ruby>WHO<rt>World Health Organization</rt></ruby> says": "World Health Organization says",
    "憂鬱《ゆううつ》な朝": "ゆううつな朝",
    "私は｜東京《とうきょう》へ行く": "私はとうきょうへ行く",
    "|お兄様《おにいさま》が来た": "おにいさまが来た",
    "亜米利加《アメリカ》の人": "アメリカの人",
    "小説《しょうせつ》を読む": "しょうせつを読む",
    "_Press *9_": "Press *9",
    "Dial **\\*#06#** now.": "Dial ＊#06# now.",
    "Press **1** or **\\***.": "Press 1 or ＊.",
}
UNTOUCHED = [
    "Dial *69 or *70.",
    "*69 returns the last call.",
    "Enter *#06# to see it.",
    "Enter *#*#4636#*#* there.",
    "Press *9 and *8 or **7.",
    "Press *, then 5.",
    "Enter *31#5551234.",
    "*か#を押してください",
    "cat <<EOF",
    "小説《こころ》を読む",
    "Forward with **21*5551234# and stop with ##002#.",
    "The gate code is *1234#, not #31#.",
    "The code is *1234.",
    "Wähle *21*0301234# und #21#.",
    "拨打*100#",
    "5*3 and 5 * 3",
    "1 << 3 >> 2 and x<<2 and y>>1",
    "cout << x << y; cin >> z",
    "a >> b, c << d, <<< and >>>",
    "《红楼梦》和《西游记》",
    "他在看《红楼梦》。",
    "映画《となりのトトロ》を見た",
    "《こころ》を読む",
    "5 * 3 * 2 and 2*3 and 2**3",
    "a < b and c > d",
    "If X > Y or Temperature > 5 or speed > Limit",
    "5 < 6, R&D, AT&T; x",
    "snake_case_name, light.living_room_lamp, __init__.py, x_1",
    "1. Mai",
    "#1, #hashtag and C#",
    "-5 °C",
    "+49 30 1234",
    "> 5 °C",
    "~5 km - that's far – or — not",
    "*.py and */5 * * * *",
    r"C:\new_dir",
    "list[0] [test] a|b",
    "© ® ™ ° € → ⇒ №",
    "m² 10⁻³ ½ … 1ª 2º H₂O",
    "「你好。」、！？（是）〜",
    "می‌شود क्‍ष",
]
CHARACTERS = {
    "Done! 🎉 Next one.": "Done! Next one.",
    "Great 🎉.": "Great.",
    "👍🏽👨‍👩‍👧🇩🇪❤️ ok 🏴󠁧󠁢󠁳󠁣󠁴󠁿": "ok",
    "Press 1️⃣ or #️⃣": "Press 1 or #",
    "★ ✓ ok ➜ • ─": "ok",
    "a ➡️ b": "a → b",
    "so\u00adft\u200b \ufeffx\u202ey\x07": "soft xy",
    "half \ud83d": "half",
    "a\u00a0b\u2009c\u3000d\te": "a b c d e",
    "Ａ１％ ﬁne Ⅷ 𝐛𝐨𝐥𝐝": "A1% fine VIII bold",
    "21 ℃, ㎞, ㎡, ㎥": "21 °C, km, m², m³",
    "① ❷ ⑳": "1 2 20",
    "ｶﾞｷﾞ｡": "ガギ。",
    "one\r\n\r\n two\u2028three": "one\ntwo\nthree",
}


@pytest.mark.parametrize(
    ("text", "spoken"),
    [*MARKDOWN.items(), *HTML.items(), *QUOTES_AND_RUBY.items(), *STARS.items(), *CHARACTERS.items()],
)
def test_markup_is_not_read(text: str, spoken: str) -> None:
    assert remove_markup(text) == spoken


@pytest.mark.parametrize("text", UNTOUCHED)
def test_what_only_looks_like_markup_stays(text: str) -> None:
    assert remove_markup(text) == text


@pytest.mark.parametrize(
    ("text", "lang", "spoken"),
    [
        ("Done! 🎉 Next.", "en", "Done! party popper Next."),
        ("👍", "en-GB", "thumbs up"),
        ("I ❤️ it", "en", "I red heart it"),
        ("Gut 👍", "de", "Gut daumen hoch"),
        ("Bien 👍", "fr", "Bien pouce vers le haut"),
        ("👍", "nl", "thumbs up"),
        ("★ ok", "en", "ok"),
    ],
)
def test_emoji_are_named_on_request(text: str, lang: str, spoken: str) -> None:
    assert remove_markup(text, emoji="name", lang=lang).lower() == spoken.lower()


WORDS = st.lists(
    st.text(st.characters(categories=["L", "Mn", "Mc", "Nd"]), min_size=1, max_size=8).filter(
        lambda word: (
            not any(
                unicodedata.decomposition(c).startswith("<") or unicodedata.category(c) == "Lm" for c in word
            )
            and not word.startswith(("\u034f", "\ufe00"))
            and not re.search(
                "[\u2126\u212a\u212b\ufe00-\ufe0f\u034f\u180b-\u180f\U000e0100-\U000e01ef\uffa0-\uffdf]", word
            )
        )
    ),
    min_size=1,
)
BETWEEN = st.sampled_from(
    " |, |. |! |? |; |: | - |-|'| (|) |“|” |…|。|、|！| & | + | = |/|% |° | < | #".split("|")
)
MARKS = st.sampled_from(
    "** |* | *| **| _|_ | `|` |~~ |\n- |\n# |\n> |<b> |<br>|.** | 🎉 |\n\n|\n| ★ ".split("|")
)
ANY = st.lists(
    st.sampled_from(
        [
            *'ab 1.*_~`<>&;\\|[]()#-+>=!:\n/?"',
            "<<",
            ">>",
            "<ruby>",
            "<rt>",
            "</ruby>",
            "東《とう》",
            "&lt;",
            "&amp;",
            "<b>",
            "</p>",
            "```",
            "🎉",
            "1️⃣",
            "①",
        ]
    ),
    max_size=20,
).map("".join) | st.text(max_size=50)


@settings(max_examples=300)
@given(WORDS, st.data())
def test_text_without_markup_is_left_alone(words: list[str], data: st.DataObject) -> None:
    text = words[0] + "".join(data.draw(BETWEEN) + word for word in words[1:])
    assert remove_markup(text) == text


@settings(max_examples=500)
@given(ANY, st.sampled_from(["drop", "name"]))
def test_plain_text_is_plain(text: str, emoji: str) -> None:
    once = remove_markup(text, emoji=emoji)
    assert remove_markup(once, emoji=emoji) == once


@settings(max_examples=300)
@given(
    st.lists(st.sampled_from("alpha Beta gamma_x light.kitchen 21.5 3 Ende 它好 x".split()), min_size=1),
    st.data(),
)
def test_no_word_is_lost(words: list[str], data: st.DataObject) -> None:
    text = words[0] + "".join(data.draw(MARKS) + word for word in words[1:])
    spoken = remove_markup(text)
    at = 0
    for word in words:
        assert word in spoken[at:]
        at = spoken.index(word, at) + len(word)


@pytest.mark.parametrize(
    "mark",
    [
        "*",
        "_",
        "`",
        "[",
        "<",
        "<b",
        "<b>",
        "&amp;",
        "](",
        "![",
        "| ",
        "- ",
        "#",
        "<!--",
        "~~",
        "\\",
        "🎉",
        " \n",
        "> ",
        "`` `",
        "[a](",
        "=",
        " -",
        "<a =",
        '[a](b "',
        "a@",
        "www.",
        "a_",
        "<<",
        ">>",
        "*69 ",
        "*1*1",
        "*#1",
        "<<a",
        "a>> ",
        "<ruby>",
        "<ruby>a<rt>",
        "漢",
        "漢《",
        "|漢",
    ],
)
def test_time_grows_with_the_length_and_no_faster(mark: str) -> None:
    began = time.process_time()
    remove_markup(mark * (20_000 // len(mark)))
    assert time.process_time() - began < 1.0
