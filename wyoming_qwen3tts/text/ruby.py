"""Ruby annotations → readings: HTML's ``<ruby>`` elements, and ``東京《とうきょう》`` of Aozora Bunko."""

from __future__ import annotations

import re

_RUBY = re.compile(r"<ruby\b[^<>]{0,200}>(.{1,1000}?)</ruby\s*>", re.S | re.I)
_PAIR = re.compile(r"(.*?)<rt\b[^<>]{0,200}>(.*?)(?:</rt\s*>|(?=<rt\b)|\Z)", re.S | re.I)
_FALLBACK = re.compile(r"<rp\b[^<>]{0,200}>.*?</rp\s*>", re.S | re.I)
_TAG = re.compile(r"<[^<>]{1,200}>")
_HAN = "\u3400-\u9fff\uf900-\ufaff々〆ヶ"
_READING = r"(?:[ぁ-ゖー]{1,24}|[ァ-ヺー]{1,24})"
_MARKED = re.compile(rf"[｜|]([^《》\n｜|]{{1,24}})《({_READING})》")
_UNMARKED = re.compile(rf"([{_HAN}]{{1,8}})《({_READING})》")
_WORKS = dict(
    zip(
        "映画 小説 漫画 作品 番組 新曲 名曲 雑誌 絵本 名作 著書 長編 短編 童話 曲 本 歌 劇".split(),
        "えいが しょうせつ まんが さくひん ばんぐみ しんきょく めいきょく ざっし えほん "
        "めいさく ちょしょ ちょうへん たんぺん どうわ きょく ほん うた げき".split(),
        strict=True,
    )
)
"""Words before a title, and their readings."""
_MAX_KANA_PER_HAN = 5
"""The most kana in a reading for each Han character: 《…》 after Han may also be a title."""
_LATIN = re.compile(r"[A-Za-zÀ-ɏḀ-ỿ\u3100-\u312f]")
"""Letters of pinyin, and bopomofo: a Chinese voice pronounces the characters better."""


def replace_ruby(text: str) -> str:
    """Return ``text`` with annotated words replaced by their readings."""
    if "<r" in text or "<R" in text:
        text = _RUBY.sub(lambda ruby: _read_element(ruby[1]), text)
    if "《" in text:
        text = _MARKED.sub(r"\2", text)
        text = _UNMARKED.sub(lambda ruby: ruby[0] if _is_title(ruby[1], ruby[2]) else ruby[2], text)
    return text


def _is_title(before: str, marked: str) -> bool:
    """Tell whether 《…》 after Han characters is a title."""
    if len(marked) > _MAX_KANA_PER_HAN * len(before):
        return True
    work = next((work for work in _WORKS if before.endswith(work)), "")
    return work != "" and not marked.endswith(_WORKS[work])


def _read_element(content: str) -> str:
    content = _FALLBACK.sub("", content)
    words, at = [], 0
    for pair in _PAIR.finditer(content):
        base, reading = (_TAG.sub("", part).strip() for part in pair.groups())
        words.append(base if _LATIN.search(reading) and re.search(f"[{_HAN}]", base) else reading or base)
        at = pair.end()
    return "".join([*words, _TAG.sub("", content[at:])])
