"""Authentication: requests need an API key, unless they come from this machine or Home Assistant's ingress.

A browser on this machine cannot be trusted like this machine: every page open in it can send requests here.
So a request without a key must have the service's own page as its origin, and a name of this machine as its
host: another site's name may resolve to this machine (DNS rebinding).
"""

from __future__ import annotations

import hashlib
import hmac
import math
import socket
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from ...config.settings import Settings, SettingsError
from ..network import parse_address
from .errors import error_body
from .middleware import respond_without_reading
from .token_bucket import TokenBucket

SUPERVISOR_ADDRESS = "172.30.32.2"
"""The address of Home Assistant's ingress (its documentation of apps)."""
MIN_KEY_LENGTH = 16
"""Characters: 64 random bits in hexadecimal, too many to guess."""
PUBLIC_PATHS = frozenset({"/health", "/ready"})
"""Paths that need no key; without one they answer only that the service runs."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers that a proxy adds: the request is not this machine's own."""
COUNT_REQUEST = "count_request"
"""Key of a request's state: a function that counts one more request against the rate limit of its API key and
returns a refusal if that is one too many; absent without a key."""
CLIENT = "client"
"""Key of a request's state: the name of its API key; absent without a key."""
AUTHENTICATED = "authenticated"
"""Key of a request's state: whether it may see more than PUBLIC_PATHS show to everyone."""
CHALLENGE = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """The response to a request that is not allowed."""

    status: int
    message: str
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)


class ApiKeys:
    """The accepted API keys, stored as SHA-256 digests."""

    def __init__(self, keys: Collection[str]) -> None:
        """Raises ValueError for a key that is too short or not printable ASCII; the message shows no key."""
        for number, key in enumerate(keys, 1):
            if len(key) < MIN_KEY_LENGTH or not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError(
                    f"key {number} is not valid: it must have at least {MIN_KEY_LENGTH} printable ASCII "
                    "characters and no spaces"
                )
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def find(self, key: str) -> int | None:
        """Return the index of a key, None for an unknown one; takes the same time for any key."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        return found.index(True) if any(found) else None


def load_api_keys(settings: Settings) -> ApiKeys:
    """Return the keys of the settings and of their key file. Raises SettingsError."""
    found = list(settings.http.api_keys)
    if (path := settings.http.api_key_file) is not None:
        found += _lines(path)
        if not found:
            raise SettingsError(f"--api-key-file: {path} contains no key")
    try:
        return ApiKeys(list(dict.fromkeys(found)))
    except ValueError as error:
        raise SettingsError(f"--api-keys, --api-key-file: {error}") from error


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file() and path.exists():
            raise SettingsError(f"--api-key-file: {path} is not a file")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"--api-key-file: {path}: {reason}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


class RateLimiter:
    """Limits the requests per minute of each API key; they may come in one burst."""

    def __init__(self, per_minute: int) -> None:
        """``per_minute``: 0 for no limit."""
        self._limit = per_minute
        self._buckets: dict[int, TokenBucket] = {}

    def take(self, key: int) -> float:
        """Count a request of a key (its index) and return 0; or return the seconds to wait for the next."""
        if not self._limit:
            return 0.0
        now = time.monotonic()
        if key not in self._buckets:
            self._buckets[key] = TokenBucket(self._limit, self._limit / 60, now)
        return self._buckets[key].take(now)


class Authenticator:
    """Decides whether a request is allowed."""

    def __init__(
        self,
        keys: ApiKeys,
        *,
        rate: int = 0,
        origins: Sequence[str] = (),
        ingress_port: int | None = None,
        supervisor: str = SUPERVISOR_ADDRESS,
    ) -> None:
        """Accept ``keys``, each for ``rate`` requests a minute.

        ``origins``: other sites whose pages may send requests from this machine without a key.
        ``supervisor``: the only address that may use ``ingress_port``, without a key.
        """
        self._keys = keys
        self._rate_limiter = RateLimiter(rate)
        self._origins = frozenset(origins) - {"*"}
        self.ingress_port = ingress_port
        self._supervisor = supervisor
        self._own_names = {"localhost", socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why a request is not allowed; None if it is."""
        headers = Headers(scope=scope)
        server, client = scope.get("server"), scope.get("client")
        if self.ingress_port is not None and server is not None and server[1] == self.ingress_port:
            if client is None or client[0] != self._supervisor:
                return Refusal(403, "this port is for Home Assistant's ingress only", "not-allowed")
            return None
        if (number := self._keys.find(_key(headers))) is not None:
            scope.setdefault("state", {})[COUNT_REQUEST] = lambda: self._count(number)
            scope["state"][CLIENT] = f"key {number + 1}"
            return self._count(number)
        if self._is_this_machine(scope, headers):
            over_tcp = client is not None  # a browser cannot reach a Unix socket
            if over_tcp and not self._is_own_name(host := headers.get("host", "localhost")):
                message = (
                    f"an API key is needed for the host {host[:80]!r}; requests to localhost from this "
                    "machine need none"
                )
                return Refusal(401, message, "key-needed", CHALLENGE)
            origin = headers.get("origin")
            if origin is None or self._is_same_origin(origin, headers) or origin in self._origins:
                return None
            message = f"requests of pages of {origin[:80]!r} are not allowed (--cors-origins)"
            return Refusal(403, message, "not-allowed")
        return self._no_key(headers)

    def _count(self, number: int) -> Refusal | None:
        """Count a request with a key; return a refusal if it is one too many, else None."""
        if not (wait := self._rate_limiter.take(number)):
            return None
        headers = {"Retry-After": str(math.ceil(wait))}
        message = f"too many requests per minute with this key (--rate-limit); retry in {math.ceil(wait)} s"
        return Refusal(429, message, "rate-limited", headers)

    def _no_key(self, headers: Headers) -> Refusal:
        if not self._keys:
            message = (
                "only requests from this machine are allowed, as no API keys are configured "
                "(--api-keys, --api-key-file)"
            )
            return Refusal(401, message, "key-needed", CHALLENGE)
        if _key(headers):
            return Refusal(401, "the API key is not valid", "wrong-key", CHALLENGE)
        message = "an API key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
        return Refusal(401, message, "key-needed", CHALLENGE)

    def _is_this_machine(self, scope: Scope, headers: Headers) -> bool:
        """Return whether a request is this machine's own or came over a Unix socket, without a proxy."""
        client = scope.get("client")
        if client is not None and not is_loopback(client[0]):
            return False
        return not any(name in headers for name in _FORWARDED)

    def _is_own_name(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        return name in self._own_names or name.endswith(".localhost") or is_loopback(name)

    def _is_same_origin(self, origin: str, headers: Headers) -> bool:
        host = headers.get("host", "")
        try:
            return bool(host) and urlsplit(origin).netloc == host
        except ValueError:
            return False


def _key(headers: Headers) -> str:
    """Return the API key of a request, empty for none."""
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")


def client_id(scope: Scope) -> str:
    """Return a request's client: the number of its key, else its address; empty on a Unix socket."""
    client = scope.get("client")
    return scope.get("state", {}).get(CLIENT) or (str(client[0]) if client else "")


def is_loopback(address: str) -> bool:
    """Return whether a string is a loopback address; False for host names."""
    try:
        return parse_address(address).is_loopback
    except ValueError:
        return False


class AuthMiddleware:
    """Passes allowed requests on, and answers the others with an error."""

    def __init__(
        self, app: ASGIApp, authenticator: Authenticator, public_paths: Collection[str] = PUBLIC_PATHS
    ) -> None:
        """``public_paths``: paths that need no key."""
        self._app = app
        self._authenticator = authenticator
        self._public_paths = frozenset(public_paths)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        refusal = self._authenticator.refusal(scope) if scope["type"] in {"http", "websocket"} else None
        scope.setdefault("state", {})[AUTHENTICATED] = refusal is None
        if refusal is None or (refusal.status == 401 and scope["path"] in self._public_paths):
            await self._app(scope, receive, send)
            return
        error = error_body(refusal.message, refusal.code, refusal.status)
        answer = JSONResponse(error, refusal.status, refusal.headers)
        if scope["type"] == "websocket":
            await receive()  # the handshake, answered with the error instead of being accepted
            await answer(scope, receive, send)
        else:
            await respond_without_reading(answer, scope, receive, send)
