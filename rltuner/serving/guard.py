"""What stands between the network and the pages: headers, limits on size and rate, tokens and their hashes."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

MAX_BODY = 16 * 1024  # bytes that a form may have; ours have some hundred
MAX_TARGET = 2048  # bytes of path and query
SLOWEST = 15.0  # seconds that a form may take to arrive
MAX_CLIENTS = 10_000  # addresses whose rate is remembered

# Only our own files and sockets, nothing inline, no frames; `Permissions-Policy` and the rest switch off what pages do
# not need.
HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; media-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), interest-cohort=()",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
    "x-robots-tag": "noindex, nofollow",
}


def new_token() -> str:
    """The secret of a session, for its cookie: 256 random bits."""
    return secrets.token_urlsafe(32)


def new_path() -> str:
    """An unguessable path for a clip: 144 random bits."""
    return secrets.token_urlsafe(18)


def token_hash(token: str) -> str:
    """What the database keeps of a token: its SHA-256. A token is random, so it needs no salt."""
    return hashlib.sha256(token.encode()).hexdigest()


def recruiting_hash(secret: bytes, identifier: str) -> str:
    """What the database keeps of a recruiting site's id: HMAC-SHA-256 with the study's secret.

    Ids are guessable, so a hash without a secret could be turned back by trying them all.
    """
    return hmac.new(secret, identifier.encode(), hashlib.sha256).hexdigest()


@dataclass
class _Bucket:
    tokens: float
    filled_at: float


class RateLimit:
    """A token bucket for each client address: `burst` at once, then `per_second`.

    IPv6 clients are counted by their /64. Only the latest MAX_CLIENTS are kept, so that forged addresses cannot fill the
    memory.
    """

    def __init__(self, per_second: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_second, self.burst, self._clock = per_second, burst, clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()

    def allows(self, client: str) -> bool:
        """Takes a token of the client's; False where there is none."""
        client = network(client)
        now = self._clock()
        bucket = self._buckets.pop(client, None) or _Bucket(self.burst, now)
        bucket.tokens = min(self.burst, bucket.tokens + (now - bucket.filled_at) * self.per_second)
        bucket.filled_at = now
        self._buckets[client] = bucket
        if len(self._buckets) > MAX_CLIENTS:
            self._buckets.popitem(last=False)
        if bucket.tokens < 1:
            return False
        bucket.tokens -= 1
        return True


def network(client: str) -> str:
    """What counts as one client: an IPv4 address, or the /64 of an IPv6 address, which is what one household gets."""
    try:
        address = ipaddress.ip_address(client)
    except ValueError:
        return client
    if address.version == 6:
        return str(ipaddress.ip_network((address, 64), strict=False))
    return client


@dataclass(frozen=True)
class Limits:
    """Requests a client address may make. A class behind one router is one address, hence the large bursts."""

    requests: tuple[float, int] = (40.0, 600)
    """`RateLimit`'s (per second, burst) for all requests."""
    sessions: tuple[float, int] = (0.5, 80)
    """`RateLimit`'s (per second, burst) for new sessions."""


class Guard:
    """ASGI middleware: refuses what is too large, too frequent or sent from another site; adds the headers.

    Args:
      app: what is guarded.
      limits: on the rate of requests.
      headers: besides `HEADERS`, and in their place where names are equal.
      largest: bytes that a form or file may have.
      sessions_at: path at which a session begins; `Limits.sessions` counts what is sent there.
      sockets_at: path at which pages of ours open a websocket; all others are closed.
      hosts: names that the server goes by, besides addresses; None takes any. Where a page of another site makes its own
        name point here, a browser takes the two for one site; the name in its requests is still the other's.
    """

    def __init__(
        self,
        app: ASGIApp,
        limits: Limits,
        *,
        headers: Mapping[str, str] | None = None,
        largest: int = MAX_BODY,
        sessions_at: str = "/consent",
        sockets_at: str = "",
        hosts: frozenset[str] | None = None,
    ) -> None:
        self._app = app
        self._requests = RateLimit(*limits.requests)
        self._sessions = RateLimit(*limits.sessions)
        self._headers = {**HEADERS, **(headers or {})}
        self._largest, self._hosts = largest, hosts
        self._sessions_at, self._sockets_at = sessions_at, sockets_at

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves HTTP; lifespan events pass, websockets of other sites and at other paths are closed."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket" and self._takes_socket(scope):
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                extra = [
                    (n.encode(), v.encode()) for n, v in self._headers.items() if n.encode() not in given
                ]
                message = {**message, "headers": [*message["headers"], *extra]}
            await send(message)

        refusal = self._refusal(scope)
        if refusal is not None:
            await _refuse(send_with_headers, *refusal)
            return
        try:
            body = await self._read(receive) if scope["method"] == "POST" else b""
        except TimeoutError:
            await _refuse(send_with_headers, 408, "This took too long.")
            return
        if body is None:
            await _refuse(send_with_headers, 413, "This is too large.")
            return
        delivered = False

        async def receive_body() -> Message:
            nonlocal delivered
            if delivered:
                return await receive()
            delivered = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, receive_body, send_with_headers)

    async def _read(self, receive: Receive) -> bytes | None:
        return await asyncio.wait_for(_body(receive, self._largest), SLOWEST)

    def _takes_socket(self, scope: Scope) -> bool:
        """Whether a websocket is one of our own pages'. Browsers say whose page opens it; who does not say is refused."""
        headers = dict(scope["headers"])
        client = scope["client"][0] if scope["client"] else ""
        origin = headers.get(b"origin", b"").partition(b"://")[2]
        return (
            bool(self._sockets_at)
            and scope["path"] == self._sockets_at
            and self._requests.allows(client)
            and self._knows_host(headers.get(b"host", b""))
            and bool(origin)
            and origin == headers.get(b"host", b"")
        )

    def _knows_host(self, host: bytes) -> bool:
        """Whether the name that a request was sent to, such as "localhost:8000", is one of the server's."""
        if self._hosts is None:
            return True
        name = host.decode("latin-1").lower()
        name = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._hosts
        return True

    def _refusal(self, scope: Scope) -> tuple[int, str] | None:
        """The status and sentence with which a request is refused; None where it is not."""
        headers = dict(scope["headers"])
        client = scope["client"][0] if scope["client"] else ""
        if not self._requests.allows(client):
            return 429, "Too many requests. Please wait a moment and reload the page."
        if not self._knows_host(headers.get(b"host", b"")):
            return 421, "This server goes by another name."
        if scope["method"] not in ("GET", "HEAD", "POST"):
            return 405, "This is not possible here."
        if len(scope.get("raw_path") or b"") + len(scope["query_string"]) > MAX_TARGET:
            return 414, "This address is too long."
        if scope["method"] != "POST":
            return None
        length = headers.get(b"content-length", b"0")
        if not length.isdigit() or int(length) > self._largest:
            return 413, "This is too large."
        if headers.get(b"sec-fetch-site", b"same-origin") != b"same-origin":
            return 403, "This form was sent from another site."
        origin = headers.get(b"origin", b"").partition(b"://")[
            2
        ]  # "null" has none: a privacy setting, not a site
        if origin and origin != headers.get(b"host", b""):
            return 403, "This form was sent from another site."
        if scope["path"].endswith(self._sessions_at) and not self._sessions.allows(client):
            return 429, "Too many people begin at once. Please wait a minute and try again."
        return None


async def _body(receive: Receive, largest: int) -> bytes | None:
    """The whole body; None where it is larger than allowed, whatever its content-length said."""
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return b"".join(parts)
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > largest:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = sentence.encode()
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    if status == 429:
        headers.append((b"retry-after", b"10"))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
