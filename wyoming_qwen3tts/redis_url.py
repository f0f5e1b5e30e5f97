"""Where a Redis is: a URL, which may hold a password and is therefore never quoted."""

from __future__ import annotations

from urllib.parse import SplitResult, parse_qsl, urlsplit

FORM = (
    "redis://user:password@host:6379/0, rediss:// for TLS, or unix:///path?db=0; "
    "in a password %23 is #, %2F is / and %3F is ?"
)
_TLS = {"ssl_ca_certs", "ssl_cert_reqs", "ssl_certfile", "ssl_check_hostname", "ssl_keyfile"}


def check_url(url: str) -> None:
    """Check that it is the URL of a Redis. Raises ValueError, which says what is one and quotes nothing."""
    if not is_url(url):
        raise ValueError(f"no URL of a Redis: {FORM}")


def is_url(url: str) -> bool:
    """Whether it is the URL of a Redis."""
    parts = split(url)
    if parts is None or parts.fragment:
        return False
    try:
        options = dict(parse_qsl(parts.query, strict_parsing=True)) if parts.query else {}
    except ValueError:
        return False
    path = parts.path
    if parts.scheme == "unix":
        good = not parts.hostname and len(path) > 1
    else:
        good = parts.scheme in {"redis", "rediss"} and bool(parts.hostname) and parts.port != 0
        good = good and (path in {"", "/"} or path[1:].isdecimal())
    allowed = {"db", *_TLS} if parts.scheme == "rediss" else {"db"}
    return good and options.keys() <= allowed and options.get("db", "0").isdecimal()


def split(url: str) -> SplitResult | None:
    """Return the parts of a URL, None where it is none."""
    try:
        parts = urlsplit(url)
        _ = parts.port  # the last that may be wrong
    except ValueError:  # it quotes parts of the URL
        return None
    return parts
