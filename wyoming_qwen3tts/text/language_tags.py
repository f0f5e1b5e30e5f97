"""Language tags (BCP 47) from what clients send: tags, three-letter codes, English and native names."""

from __future__ import annotations

import functools
import re
import unicodedata

NAMES = {
    "en": ("English", "English"),
    "de": ("Deutsch", "German"),
    "fr": ("Français", "French"),
    "es": ("Español", "Spanish", "Castellano", "Castilian"),
    "pt": ("Português", "Portuguese"),
    "it": ("Italiano", "Italian"),
    "ru": ("Русский", "Russian"),
    "zh": ("中文", "Chinese", "汉语", "漢語", "普通话", "普通話", "國語", "Mandarin", "Mandarin Chinese"),
    "ja": ("日本語", "Japanese"),
    "ko": ("한국어", "Korean", "조선말"),
    "af": ("Afrikaans", "Afrikaans"),
    "ar": ("العربية", "Arabic"),
    "az": ("Azərbaycan", "Azerbaijani"),
    "be": ("Беларуская", "Belarusian"),
    "bg": ("Български", "Bulgarian"),
    "bn": ("বাংলা", "Bengali", "Bangla"),
    "bs": ("Bosanski", "Bosnian"),
    "ca": ("Català", "Catalan", "Valencian"),
    "cs": ("Čeština", "Czech"),
    "cy": ("Cymraeg", "Welsh"),
    "da": ("Dansk", "Danish"),
    "el": ("Ελληνικά", "Greek"),
    "eo": ("Esperanto", "Esperanto"),
    "et": ("Eesti", "Estonian"),
    "eu": ("Euskara", "Basque"),
    "fa": ("فارسی", "Persian", "Farsi"),
    "fi": ("Suomi", "Finnish"),
    "fil": ("Filipino", "Filipino", "Tagalog"),
    "ga": ("Gaeilge", "Irish"),
    "gd": ("Gàidhlig", "Scottish Gaelic"),
    "gl": ("Galego", "Galician"),
    "gu": ("ગુજરાતી", "Gujarati"),
    "he": ("עברית", "Hebrew"),
    "hi": ("हिन्दी", "Hindi", "हिंदी"),
    "hr": ("Hrvatski", "Croatian"),
    "hu": ("Magyar", "Hungarian"),
    "hy": ("Հայերեն", "Armenian"),
    "id": ("Bahasa Indonesia", "Indonesian"),
    "is": ("Íslenska", "Icelandic"),
    "ka": ("ქართული", "Georgian"),
    "kk": ("Қазақ", "Kazakh"),
    "kn": ("ಕನ್ನಡ", "Kannada"),
    "la": ("Latina", "Latin"),
    "lb": ("Lëtzebuergesch", "Luxembourgish"),
    "lt": ("Lietuvių", "Lithuanian"),
    "lv": ("Latviešu", "Latvian"),
    "mk": ("Македонски", "Macedonian"),
    "ml": ("മലയാളം", "Malayalam"),
    "mn": ("Монгол", "Mongolian"),
    "mr": ("मराठी", "Marathi"),
    "ms": ("Bahasa Melayu", "Malay"),
    "mt": ("Malti", "Maltese"),
    "nb": ("Norsk", "Norwegian", "Norsk bokmål", "Norwegian Bokmål", "Bokmål"),
    "ne": ("नेपाली", "Nepali"),
    "nl": ("Nederlands", "Dutch", "Vlaams", "Flemish"),
    "pa": ("ਪੰਜਾਬੀ", "Punjabi"),
    "pl": ("Polski", "Polish"),
    "ro": ("Română", "Romanian", "Moldavian"),
    "sk": ("Slovenčina", "Slovak"),
    "sl": ("Slovenščina", "Slovenian", "Slovene"),
    "sq": ("Shqip", "Albanian"),
    "sr": ("Српски", "Serbian"),
    "sv": ("Svenska", "Swedish"),
    "sw": ("Kiswahili", "Swahili"),
    "ta": ("தமிழ்", "Tamil"),
    "te": ("తెలుగు", "Telugu"),
    "th": ("ไทย", "Thai"),
    "tr": ("Türkçe", "Turkish"),
    "uk": ("Українська", "Ukrainian"),
    "ur": ("اردو", "Urdu"),
    "uz": ("Oʻzbek", "Uzbek"),
    "vi": ("Tiếng Việt", "Vietnamese"),
    "yue": ("粵語", "Cantonese", "粤语", "廣東話", "广东话"),
    "en-US": ("American English", "US English", "English (US)", "English (United States)"),
    "en-GB": ("British English", "UK English", "English (UK)", "English (United Kingdom)"),
    "pt-BR": ("Português do Brasil", "Português brasileiro", "Brazilian Portuguese", "Portuguese (Brazil)"),
    "pt-PT": ("Português europeu", "European Portuguese", "Portuguese (Portugal)"),
    "es-MX": ("Español de México", "Mexican Spanish", "Spanish (Mexico)"),
    "fr-CA": ("Français canadien", "Canadian French", "French (Canada)"),
    "zh-CN": ("简体中文", "Simplified Chinese", "Chinese (Simplified)", "Chinese Simplified"),
    "zh-TW": ("繁體中文", "Traditional Chinese", "Chinese (Traditional)", "Chinese Traditional", "正體中文"),
}
"""Tag → native name, English name, and other names."""
MAX_NAME_CHARACTERS = 100
"""Characters of a request's language that are examined."""
UNSPECIFIED = frozenset({"auto", "automatic", "detect", "autodetect", "default", "none", "null", "und"})
"""What clients send to leave the language to the server, as ``_fold_name`` returns it."""
_LETTER_CATEGORIES = frozenset({"Ll", "Lm", "Lo", "Lt", "Lu", "Mc"})
"""Unicode categories of the characters that count in a name; accents (Mn) do not."""
_REPLACED_TAGS = {"cmn": "zh", "no": "nb"}
"""Tag → the tag that voices use instead."""
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")


def parse_requested_language(text: str | None) -> str | None:
    """Return the BCP 47 tag of a request's language; None where the request names none.

    Raises ValueError, with a message for the client, for text that is neither a code nor a name.
    """
    if text is None or not text.strip() or _fold_name(text) in UNSPECIFIED:
        return None
    if (tag := find_tag(text)) is None:
        known = "a code, such as de, pt-BR or deu, a name, such as German, or auto"
        raise ValueError(f"{text[:40]!r} is not a language: give {known}")
    return tag


def find_tag(text: str) -> str | None:
    """Return the BCP 47 tag for a tag, a code (ISO 639-1 or 639-2) or a name; None for anything else."""
    text = text.strip()[:MAX_NAME_CHARACTERS]
    return _BY_NAME.get(_fold_name(text)) or (_canonicalize(text) if _TAG.fullmatch(text) else None)


def _fold_name(name: str) -> str:
    """Return the letters of a name without case and accents."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    return "".join(letter for letter in decomposed if unicodedata.category(letter) in _LETTER_CATEGORIES)


@functools.lru_cache(1000)
def _canonicalize(tag: str) -> str | None:
    """Return a well-formed tag in canonical form; None if its language or region does not exist."""
    if tag in NAMES:
        return tag
    import langcodes  # 40 ms, and most tags are in the table

    try:
        found = langcodes.Language.get(tag.replace("_", "-"))
    except ValueError:
        return None
    if not found.is_valid():
        return None
    base, separator, rest = found.to_tag().partition("-")
    return f"{_REPLACED_TAGS.get(base, base)}{separator}{rest}"


_BY_NAME = {_fold_name(name): tag for tag, names in NAMES.items() for name in names}
