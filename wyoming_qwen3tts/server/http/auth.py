"""Who may come in: whoever has a key, this machine itself, and Home Assistant on the port for its ingress.

A browser on this machine is not to be trusted like this machine: any page that is open in it can send
requests to it. So what comes without a key has to come from a page of ours, and under a name of this machine,
for a page elsewhere can have a name of its own lead here (DNS rebinding).
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
from ..network import plain
from .errors import body
from .middleware import unread
from .rate import Bucket

SUPERVISOR = "172.30.32.2"
"""Where Home Assistant's ingress comes from (its documentation of apps)."""
SHORTEST_KEY = 16
"""Characters: 64 random bits in hexadecimal, so that nobody guesses one."""
OPEN = frozenset({"/health", "/ready"})
"""What anybody may see: that the service is there."""
_FORWARDED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
"""Headers with which a proxy says that it asks for somebody else."""
COUNT = "count"
"""In a request's state: counts one more with the same key, as ``Rate`` does; absent where nobody counts."""
CLIENT = "client"
"""In a request's state: whose it is, where it came with a key."""
CHALLENGE = {"WWW-Authenticate": "Bearer"}
WELCOME = "welcome"
"""In a request's state: whether it may see more than anybody."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not served."""

    status: int
    message: str
    code: str
    headers: Mapping[str, str] = field(default_factory=dict)


class Keys:
    """The keys that open the door; only what they hash to is kept."""

    def __init__(self, keys: Collection[str]) -> None:
        """Raises ValueError, which shows no key, where one could be guessed."""
        for number, key in enumerate(keys, 1):
            if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
                raise ValueError(f"key {number} has to be {SHORTEST_KEY} letters, digits and signs at least")
        self._digests = [hashlib.sha256(key.encode()).digest() for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def find(self, key: str) -> int | None:
        """Return the number of a key, from 0; takes the same time whatever it looks like."""
        digest = hashlib.sha256(key.encode("utf-8", "replace")).digest()
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        return found.index(True) if any(found) else None


def keys_of(settings: Settings) -> Keys:
    """Return the keys that the settings have, and those in the file they name. Raises SettingsError."""
    found = list(settings.http.api_keys)
    if (path := settings.http.api_key_file) is not None:
        found += _lines(path)
        if not found:
            raise SettingsError(f"--api-key-file: there is no key in {path}")
    try:
        return Keys(list(dict.fromkeys(found)))
    except ValueError as error:
        raise SettingsError(f"--api-keys, --api-key-file: {error}") from error


def _lines(path: Path) -> list[str]:
    try:
        if not path.is_file() and path.exists():
            raise SettingsError(f"--api-key-file: {path} is no file")
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise SettingsError(f"--api-key-file: {path}: {reason}") from error
    return [line.strip() for line in lines if line.strip() and not line.lstrip().startswith("#")]


class Rate:
    """So many requests a minute for everybody who has a key; they may come all at once."""

    def __init__(self, a_minute: int) -> None:
        """``a_minute``: 0 is no limit."""
        self._most = a_minute
        self._buckets: dict[int, Bucket] = {}

    def wait(self, who: int) -> float:
        """Count a request; return 0, or the seconds until the next one is served."""
        if not self._most:
            return 0.0
        now = time.monotonic()
        if who not in self._buckets:
            self._buckets[who] = Bucket(self._most, self._most / 60, now)
        return self._buckets[who].wait(now)


class Authenticator:
    """Says who may come in, without doing anything about it."""

    def __init__(
        self,
        keys: Keys,
        *,
        rate: int = 0,
        origins: Sequence[str] = (),
        ingress_port: int | None = None,
        supervisor: str = SUPERVISOR,
    ) -> None:
        """``origins``: pages elsewhere that may ask. ``supervisor``: the one address for ``ingress_port``."""
        self._keys = keys
        self._rate = Rate(rate)
        self._origins = frozenset(origins) - {"*"}
        self.ingress_port = ingress_port
        self._supervisor = supervisor
        self._own_names = {"localhost", socket.gethostname().lower(), f"{socket.gethostname().lower()}.local"}

    def refusal(self, scope: Scope) -> Refusal | None:
        """Return why a connection's request is not served, None where it is."""
        headers = Headers(scope=scope)
        server, client = scope.get("server"), scope.get("client")
        if self.ingress_port is not None and server is not None and server[1] == self.ingress_port:
            if client is None or client[0] != self._supervisor:
                return Refusal(403, "this port is for Home Assistant's ingress", "not-allowed")
            return None
        if (number := self._keys.find(_key(headers))) is not None:
            scope.setdefault("state", {})[COUNT] = lambda: self._count(number)
            scope["state"][CLIENT] = f"key {number + 1}"
            return self._count(number)
        if self._is_this_machine(scope, headers):
            over_tcp = client is not None  # no browser reaches a Unix socket by a name
            if over_tcp and not self._is_own_name(host := headers.get("host", "localhost")):
                message = (
                    f"this machine needs a key where it calls itself {host[:80]!r}, and none as localhost"
                )
                return Refusal(401, message, "key-needed", CHALLENGE)
            origin = headers.get("origin")
            if origin is None or self._is_ours(origin, headers) or origin in self._origins:
                return None
            return Refusal(403, f"pages of {origin[:80]!r} may not ask (--cors-origins)", "not-allowed")
        return self._no_key(headers)

    def _count(self, number: int) -> Refusal | None:
        """Count a request with a key; return why it is one too many, None where it is not."""
        if not (wait := self._rate.wait(number)):
            return None
        again = {"Retry-After": str(math.ceil(wait))}
        return Refusal(429, "too many requests a minute with this key", "rate-limited", again)

    def _no_key(self, headers: Headers) -> Refusal:
        if not self._keys:
            message = "only this machine may ask, until there are keys (--api-keys, --api-key-file)"
            return Refusal(401, message, "key-needed", CHALLENGE)
        if _key(headers):
            return Refusal(401, "nobody has this key", "wrong-key", CHALLENGE)
        message = "a key is needed: Authorization: Bearer KEY, or X-API-Key: KEY"
        return Refusal(401, message, "key-needed", CHALLENGE)

    def _is_this_machine(self, scope: Scope, headers: Headers) -> bool:
        """Tell whether this machine asks, for itself; or over a Unix socket whoever may open its file."""
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

    def _is_ours(self, origin: str, headers: Headers) -> bool:
        host = headers.get("host", "")
        try:
            return bool(host) and urlsplit(origin).netloc == host
        except ValueError:
            return False


def _key(headers: Headers) -> str:
    """Return the key that a request brings, empty for none."""
    kind, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if kind.lower() == "bearer" else headers.get("x-api-key", "")


def client_of(scope: Scope) -> str:
    """Return whose a request is: a key's number, else an address; empty over a Unix socket."""
    client = scope.get("client")
    return scope.get("state", {}).get(CLIENT) or (str(client[0]) if client else "")


def is_loopback(address: str) -> bool:
    """Tell whether an address is this machine's own; a name is none."""
    try:
        return plain(address).is_loopback
    except ValueError:
        return False


class AuthMiddleware:
    """Serves those who may come in, and tells the others why not."""

    def __init__(self, app: ASGIApp, keeper: Authenticator, open_to_all: Collection[str] = OPEN) -> None:
        """``open_to_all``: paths."""
        self._app = app
        self._keeper = keeper
        self._open = frozenset(open_to_all)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        refusal = self._keeper.refusal(scope) if scope["type"] in {"http", "websocket"} else None
        scope.setdefault("state", {})[WELCOME] = refusal is None
        if refusal is None or (refusal.status == 401 and scope["path"] in self._open):
            await self._app(scope, receive, send)
            return
        error = body(refusal.message, refusal.code, refusal.status)
        answer = JSONResponse(error, refusal.status, refusal.headers)
        if scope["type"] == "websocket":
            await receive()  # the handshake, which is answered in the place of being accepted
            await answer(scope, receive, send)
        else:
            await unread(answer, scope, receive, send)
