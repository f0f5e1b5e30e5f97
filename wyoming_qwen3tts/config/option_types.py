"""What an option takes: how its text is read, checked and described."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..redis_url import FORM, check_url
from .address import Address

_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_TAG = re.compile(r"[A-Za-z]{2,3}(?:[-_][A-Za-z0-9]{1,8})*")
_TRUE = frozenset({"true", "yes", "on", "1"})
_FALSE = frozenset({"false", "no", "off", "0"})


@dataclass(frozen=True, slots=True)
class OptionType:
    """What an option takes: how a value is read and described."""

    read: Callable[[str], Any]
    """Raises ValueError where the text is not allowed."""
    allowed: str
    schema: str
    """The type in the app's ``config.yaml``."""
    metavar: str = ""
    separator: str = ""
    """What stands between the values of an option that takes several: its flag may then be repeated."""
    secret: bool = False
    """A password may be in it: no message shows it."""


def whole(low: int, high: int) -> OptionType:
    """A whole number."""
    return OptionType(
        _between(int, low, high), f"a whole number from {low} to {high}", f"int({low},{high})", "N"
    )


def seconds(low: float, high: float) -> OptionType:
    """A time in seconds."""
    allowed = f"seconds from {low:g} to {high:g}"
    return OptionType(_between(float, low, high), allowed, f"float({low:g},{high:g})", "SECONDS")


def amount(low: float, high: float) -> OptionType:
    """A number that may have a fraction."""
    allowed = f"a number from {low:g} to {high:g}"
    return OptionType(_between(float, low, high), allowed, f"float({low:g},{high:g})", "X")


def level(low: float, high: float) -> OptionType:
    """A level in dBFS; ``off`` for none (read as None)."""
    number = _between(float, low, high)

    def read(text: str) -> float | None:
        return None if text.lower() in _FALSE - {"0"} else float(number(text))

    # The app's schema knows no negative numbers.
    return OptionType(read, f"dBFS from {low:g} to {high:g}, or off", "str", "DBFS")


def one_of(*choices: str) -> OptionType:
    """One of some words."""

    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return OptionType(read, " or ".join(choices), f"list({'|'.join(choices)})", "|".join(choices))


def switch() -> OptionType:
    """On or off."""

    def read(text: str) -> bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(text)

    return OptionType(read, "true or false", "bool")


def words(allowed: str, metavar: str) -> OptionType:
    """Any text that is not empty."""

    def read(text: str) -> str:
        if not text.strip() or not text.isprintable():
            raise ValueError(text)
        return text.strip()

    return OptionType(read, allowed, "str", metavar)


def uris() -> OptionType:
    """Addresses to listen on, with spaces between them."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.split())
        if not found:
            raise ValueError(text)
        for uri in found:
            Address.parse(uri)
        return found

    return OptionType(read, "tcp://HOST:PORT, unix:///PATH or stdio://", "str", "URI", " ")


def remotes() -> OptionType:
    """Addresses of servers that speak, with spaces between them."""
    allowed = "tcp://HOST:PORT, unix:///PATH, http://HOST:PORT or https://HOST:PORT"

    def read(text: str) -> tuple[str, ...]:
        found = tuple(dict.fromkeys(text.split()))
        if not found:
            raise ValueError(text)
        for uri in found:
            parts = urlsplit(uri)
            if parts.scheme in {"http", "https"}:
                wrong = not parts.hostname or bool(parts.query or parts.fragment)
            else:
                wrong = Address.parse(uri).scheme == "stdio"
            if wrong or parts.port == 0:
                raise ValueError(uri)
        return found

    return OptionType(read, allowed, "str", "URI", " ")


def models() -> OptionType:
    """Directories, or names on the hub with a revision or without, with commas between them."""
    allowed = "directories, or models' names on the hub, with commas between them"
    return replace(names(), allowed=allowed, metavar="MODEL")


def names() -> OptionType:
    """Names with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(name.strip() for name in text.split(","))
        if not all(found) or not text.isprintable():
            raise ValueError(text)
        return tuple(dict.fromkeys(found))

    return OptionType(read, "names, with commas between them", "str", "NAMES", ",")


def some_of(*choices: str) -> OptionType:
    """Some of these words, in an order, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        found: tuple[str, ...] = names().read(text)
        if set(found) - set(choices):
            raise ValueError(text)
        return found

    return replace(names(), read=read, allowed=f"{', '.join(choices)}, in any order")


def keys() -> OptionType:
    """Secrets with commas between them."""
    return replace(
        names(), allowed="keys, with commas between them", metavar="KEYS", schema="password", secret=True
    )


def networks() -> OptionType:
    """Networks with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_network(each)) for each in names().read(text))

    return OptionType(
        read, "networks such as 192.168.1.0/24, with commas between them", "str", "NETWORKS", ","
    )


def origins() -> OptionType:
    """Origins of web pages and apps, of any scheme, with commas between them."""

    def read(text: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(map(_origin, names().read(text))))

    allowed = "SCHEME://HOST[:PORT] of pages and apps, with commas between them, or *"
    return OptionType(read, allowed, "str", "ORIGINS", ",")


def _origin(text: str) -> str:
    """Return an origin as browsers send it (RFC 6454): lower case, no default port, no slash at its end."""
    if text == "*":
        return text
    parts = urlsplit(text.lower())
    if not parts.scheme or not parts.hostname or parts.path not in {"", "/"} or "@" in parts.netloc:
        raise ValueError(text)
    if parts.query or parts.fragment:
        raise ValueError(text)
    return f"{parts.scheme}://{parts.netloc.removesuffix(_DEFAULT_PORTS.get(parts.scheme, ''))}"


def redis_address() -> OptionType:
    """Where a Redis is."""

    def read(text: str) -> str:
        check_url(text.strip())
        return text.strip()

    return OptionType(read, FORM, "str", "URL", secret=True)


def name_or_off() -> OptionType:
    """A name; ``true`` for the default one (read as ""), ``false`` for none (read as None)."""

    def read(text: str) -> str | None:
        if text.lower() in _TRUE:
            return ""
        if text.lower() in _FALSE:
            return None
        if not text.isprintable():
            raise ValueError(text)
        return text

    return OptionType(read, "a name, true or false", "str", "NAME")


def languages() -> OptionType:
    """BCP 47 tags with commas or spaces between them."""

    def read(text: str) -> tuple[str, ...]:
        found = tuple(text.replace(",", " ").split())
        if not found or not all(_TAG.fullmatch(tag) for tag in found):
            raise ValueError(text)
        return found

    return OptionType(read, "language codes with commas, such as en,de", "str", "CODES")


def language() -> OptionType:
    """A BCP 47 tag."""

    def read(text: str) -> str:
        if not _TAG.fullmatch(text.strip()):
            raise ValueError(text)
        return text.strip()

    return OptionType(read, "a language code, such as de or pt-BR", "str", "CODE")


def file() -> OptionType:
    """A file's path; it need not exist."""
    return replace(folder(), allowed="a file's path", metavar="FILE")


def folder() -> OptionType:
    """A directory's path; it need not exist."""

    def read(text: str) -> Path:
        if not text.strip() or not text.isprintable():
            raise ValueError(text)
        return Path(text.strip()).expanduser()

    return OptionType(read, "a directory's path", "str", "DIR")


def device() -> OptionType:
    """Where a model runs."""

    def read(text: str) -> str:
        kind, _, index = text.partition(":")
        if text not in {"auto", "cpu", "mps", "cuda"} and not (kind == "cuda" and index.isdecimal()):
            raise ValueError(text)
        return text

    return OptionType(read, "auto, cuda, cuda:N, mps or cpu", "str", "DEVICE")


def _between(number: Callable[[str], Any], low: float, high: float) -> Callable[[str], Any]:
    def read(text: str) -> Any:
        value = number(text)
        if not low <= value <= high:  # NaN is not either
            raise ValueError(text)
        return value

    return read
