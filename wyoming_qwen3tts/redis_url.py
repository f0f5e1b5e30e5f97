"""URLs of Redis. They may contain a password, so messages never quote them."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit

FORM = (
    "redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path?db=0; "
    "in a password %23 is #, %2F is / and %3F is ?"
)
_TLS = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}


def check_url(url: str) -> None:
    """Raise ValueError, whose message has the allowed forms, if ``url`` is not the URL of a Redis."""
    if not is_url(url):
        raise ValueError(f"this is not the URL of a Redis: {FORM}")


def is_url(url: str) -> bool:
    """Return whether ``url`` is the URL of a Redis."""
    parts = split(url)
    if parts is None or parts.fragment:
        return False
    try:
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        return False
    path = parts.path
    if parts.scheme == "unix":
        is_valid = not parts.hostname and len(path) > 1
    else:
        is_valid = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        is_valid = is_valid and (path in {"", "/"} or path[1:].isdecimal())
    allowed = {"db", *_TLS} if parts.scheme == "rediss" else {"db"}
    return is_valid and options.keys() <= allowed and options.get("db", "0").isdecimal()


def split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None if it is not valid."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # raises ValueError if it is no number
    except ValueError:  # its message quotes parts of the URL
        return None
    return parts
