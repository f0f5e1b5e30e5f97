"""E-mail and web addresses, IP and MAC addresses, paths, files, entity ids, hashtags."""

from __future__ import annotations

import re

from .base import RuleBase
from .rule import LETTER, Match, Rules

_DOMAINS = frozenset(
    "air_quality alarm_control_panel alert assist_satellite automation binary_sensor button calendar camera climate "
    "conversation counter cover date datetime device_tracker event fan geo_location group humidifier image "
    "input_boolean input_button input_datetime input_number input_select input_text lawn_mower light lock "
    "media_player notify number person plant proximity remote scene schedule script select sensor siren stt sun "
    "switch tag text time timer todo tts update vacuum valve wake_word water_heater weather zone".split()
)
"""Home Assistant's entity domains: the part of an entity id before the point."""
_TLD = (
    "com|org|net|edu|gov|int|mil|info|biz|io|ai|app|dev|tv|me|eu|de|at|ch|fr|be|es|it|pt|br|ru|uk|us|ca|au|nl|pl|cn|jp|kr|"
    "in|mx|ar|local|lan|home|cloud|online|shop|site|tech|xyz"
)
_EXTENSIONS = (
    "yaml|yml|json|toml|txt|py|md|csv|log|mp3|mp4|wav|ogg|flac|jpg|jpeg|png|gif|svg|pdf|sh|js|ts|html|css|xml|conf|cfg|ini|db|zip|gz|"
    "tar|exe|apk|deb|iso|bin"
)
_MIXED = r"(?<![^\W_])(?=[^\W_]*\d)(?=[^\W_]*[^\W\d_])(?:[^\W_]*(?<![^\W\d_])[^\W\d_]{1,2}(?![^\W\d_])[^\W_]*|[^\W\d_]{3}\d+(?![^\W_]))"
"""A word of letters and digits that cannot be pronounced, such as j4n3 or sda1; end2end can."""


class AddressRules(RuleBase):
    """The rules for addresses and identifiers."""

    def web_address_rules(self) -> Rules:
        """Yield the rules for e-mail, web and IP addresses."""
        yield "email", r"[A-Za-z0-9][\w.+-]{0,63}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}(?<![.-])", self._email
        yield "url", r"(?:https?|ftp|wss?|tcp|mqtt)://[^\s<>\"'»”]+|www\.[\w-]+\.[^\s<>\"'»”]+", self._url
        yield (
            "host",
            rf"(?<![\w@.])(?:[A-Za-z0-9-]{{1,63}}\.){{1,8}}(?:{_TLD})(?::\d+)?(?:/[^\s<>\"'»”)]*)?(?![\w-]|\.\w)",
            self._url,
        )
        yield (
            "ip",
            r"(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?P<port>:\d{1,5})?(?P<mask>/\d{1,2})?(?!\.?\d)",
            self._ip,
        )

    def identifier_rules(self) -> Rules:
        """Yield the rules for identifiers: paths, files, entity ids, hashtags and the like."""
        yield (
            "episode",
            rf"(?<![{LETTER}\d])[Ss](?P<s>\d{{1,2}})[Ee](?P<e>\d{{1,3}})(?![{LETTER}\d])",
            self._episode,
        )
        yield "hex", r"0x[0-9A-Fa-f]+\b", lambda m: self._hex_digits(m[0].replace("x", "X"))
        yield "mac", r"(?<!\w)[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}(?!\w)", self._hex
        part = rf"/[{LETTER}\d_.-]*[{LETTER}\d_]"
        yield "path", rf"(?<![{LETTER}\d_/.:])(?:~?(?:{part}){{2,}}|~{part})/?", self._email
        yield (
            "file",
            rf"[A-Za-z0-9][\w-]{{0,99}}(?:\.[\w-]{{1,99}}){{0,8}}\.(?:{_EXTENSIONS})(?![\w-]|\.\w)",
            self._email,
        )
        yield "entity", r"(?P<domain>[a-z_]+)\.(?P<object>[a-z0-9_]+)(?!\w|\.\w)", self._entity
        yield "snake", r"(?<![^\W_])[A-Za-z0-9]{1,64}(?:_[A-Za-z0-9]{1,64}){1,32}", self._snake
        yield (
            "status",
            r"(?P<word>HTTPS?|http)(?:[ /-]|\s(?:error|status|code|Fehler|erreur|error|ошибка)\s)(?P<code>[1-5]\d\d)\b",
            self._status,
        )
        yield (
            "hashtag",
            r"[#＃](?P<tag>[^\W\d]\w*)",
            lambda m: f"{self.hashtag} {self._split_camel_case(m['tag'])}",
        )
        yield (
            "handle",
            r"(?<![\w.])@(?P<name>[A-Za-z_][\w.]*\w)",
            lambda m: f"{self.at} {self._split_camel_case(m['name'])}",
        )

    def address(self, text: str) -> str:
        """Return an address in words: letters as they are, digits as numbers, signs by name.

        Letters and digits that cannot be pronounced together are spelled: j4n3, sda1, but not kitchen2.
        """
        words: list[str] = []
        signs = {".": self.dot, "/": self.slash, "-": self.dash, "_": self.underscore, ":": self.colon, "@": self.at,
                 "?": self.symbols["?"], "=": self.symbols["="], "&": self.symbols["&"], "#": self.hashtag, "+": self.plus,
                 "%": self.unit_name("%") or "%", "~": "tilde"}  # fmt: skip
        for part in re.findall(
            rf"(?<![\d.])\d{{1,3}}(?:\.\d{{1,3}}){{3}}(?![\d.])|{_MIXED}|\d+|[^\W\d_]+|[\W_]", text
        ):
            if "." in part[1:]:
                words.append(self.ip_address(part))
            elif len(part) > 1 and not part.isdecimal() and not part.isalpha():
                words += [self.spell_digits(c) if c.isdecimal() else self.spell_letters(c) for c in part]
            elif part in signs:
                words.append(signs[part])
            elif part.isdecimal():
                words.append(self._cardinal_or_digits(part) if len(part) < 4 else self.spell_digits(part))
            elif part.lower() == "www":
                words.append(self.spell_letters(part))
            elif part.strip():
                words.append(part)
        return " ".join(words)

    def _email(self, m: Match) -> str:
        return self.address(m[0])

    def _url(self, m: Match) -> str | None:
        text = m[0]
        tail = re.search(r"[.,;:!?)\]]*$", text)
        stop = tail[0] if tail else ""
        text = text[: len(text) - len(stop)] if stop else text
        text = re.sub(r"^(?:https?|ftp|wss?|tcp|mqtt)://", "", text).rstrip("/")
        text, _, _ = text.partition("?")
        return self.address(text) + stop if text else None

    def _ip(self, m: Match) -> str | None:
        address = re.match(r"[\d.]+", m[0])
        assert address is not None
        if any(int(part) > 255 or re.match(r"0\d", part) for part in address[0].split(".")):
            return None  # 8.000.000.000 is a number
        words = [self.ip_address(address[0])]
        if m["port"]:
            words += [
                self.colon,
                self._cardinal_or_digits(m["port"][1:])
                if len(m["port"]) < 4
                else self.spell_digits(m["port"]),
            ]
        if m["mask"]:
            words += [self.slash, self._cardinal_or_digits(m["mask"][1:])]
        return self.join(words)

    def _hex(self, m: Match) -> str:
        return ", ".join(self._hex_digits(pair) for pair in re.split("[:-]", m[0]))

    def _episode(self, m: Match) -> str:
        return self.episode_format.format(self.cardinal(int(m["s"])), self.cardinal(int(m["e"])))

    def _entity(self, m: Match) -> str | None:
        if m["domain"] not in _DOMAINS:
            return None
        object_id = self._snake_words(m["object"])
        return f"{m['domain'].replace('_', ' ')} {self.dot} {object_id}"

    def _snake_words(self, text: str) -> str:
        words = text.replace("_", " ").split()
        return " ".join(
            self._cardinal_or_digits(word) if word.isdecimal() else self._split_token(word) for word in words
        )

    def _split_token(self, word: str) -> str:
        if not any(c.isdigit() for c in word):
            return word
        parts = re.findall(r"\d+|\D+", word)
        return " ".join(self._cardinal_or_digits(part) if part.isdecimal() else part for part in parts)

    def _snake(self, m: Match) -> str:
        return self._snake_words(m[0])

    def _status(self, m: Match) -> str:
        middle = m.string[m.end("word") : m.start("code")].strip(" /-")
        word = self.spell_letters(m["word"]) if self.spells_acronyms else m["word"].upper()
        return " ".join(part for part in (word, middle, self.http_status(m["code"])) if part)

    def _split_camel_case(self, text: str) -> str:
        """Return the words of a CamelCase or snake_case name."""
        text = re.sub(r"(?<=[a-zß-ÿа-яё0-9])(?=[A-ZÀ-ÞА-ЯЁ])", " ", text.replace("_", " "))
        return self.normalize(text) if any(c.isdigit() for c in text) else " ".join(text.split())
