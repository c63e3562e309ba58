"""Posts that nobody who may send has sent, and nonsense of those who may.

All of them are drawn from a seed. They say what they are on the wire, byte by byte, since no HTTP library
sends what is not allowed.
"""

import base64
import gzip
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.apiserver.posting import ALERT, NAMESPACE, WEBHOOK_TOKEN, hooked, pushed

PUSH = "/api/v2/alerts"
WEBHOOK = f"/webhook/{NAMESPACE}"
_OVERSIZED = b"[" + b" " * 5 * 1024 * 1024 + b"]"
_PACKED = gzip.compress(_OVERSIZED)
_LARGE_AT_FIRST = 4
_ONE_IN = 1000
"""So many posts have one oversized among them, and the first few are."""

CLOSED = 0
"""Stands for the status of a post that was hung up on."""
UNANSWERED = -1
"""Stands for that of one that nothing was said to."""
UNAVAILABLE = 503
"""The one answer above 499 that is meant: the API server could not be asked."""
REFUSED = frozenset({401})
MALFORMED = frozenset({400, 404, 405, 413})
USELESS = frozenset({200})
_SIGNS = [*range(32, 127), 0, 10, 0xE9, 0x202E, 0xD800, 0x1F525]
_TIMES = (
    *("yesterday", "2026-01-01T00:00:00", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59-23:59"),
    *("0001-01-01T00:00:00+23:59", "2026-13-01T00:00:00Z", "2026-01-01T00:00:00.123456789Z"),
)
_SCALARS: tuple[tuple[Any, ...], ...] = (
    (None, True, False),
    (0, -1, 10**18, 10**400, 1e308, 0.1),
    _TIMES,
    ("", "alertname", "{{", "\x00", "a" * 5000),
)


@dataclass(frozen=True)
class Post:
    """One post, and which answers are right."""

    kind: str
    path: str
    body: bytes
    right: frozenset[int]
    token: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "POST"
    hangs_up: bool = False
    """Whether its sender is gone as soon as it is sent."""

    @property
    def head(self) -> bytes:
        """Return the request up to its body."""
        fields = {"Host": "receiver", "Content-Length": str(len(self.body)), **self.headers}
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{k}: {v}" for k, v in fields.items())]
        # What stands for a byte in a path that is no text goes as that byte.
        sent = "\r\n".join([*lines, "Connection: close", ""]).encode(errors="surrogateescape")
        proof = b"Authorization: Bearer " + self.token + b"\r\n" if self.token else b""
        return sent + proof + b"\r\n"


class Forger:
    """Makes posts out of a seed."""

    def __init__(self, token: str, seed: int) -> None:
        self._token = token.encode()
        self._hook_token = WEBHOOK_TOKEN.encode()
        self._random = Random(seed)
        self._makers: list[Callable[[], Post]] = [
            *(self._without_token, self._bad_token, self._bytes_as_token, self._borrowed_token),
            *(self._other_namespace, self._replayed, self._other_alert, self._no_json),
            *(self._truncated, self._nested, self._mutated, self._nonsense),
            *(self._nonsense_in_alert, self._other_type, self._other_method, self._other_path),
            *(self._packed, self._two_lengths, self._cut_short),
        ]

    def posts(self, count: int) -> Iterator[Post]:
        """Yield so many posts."""
        for number in range(count):
            if number < _LARGE_AT_FIRST:
                # Bodies that are read, so that what they take is not taken for growth.
                yield self._oversized()
            elif self._random.randrange(_ONE_IN) == 0:
                yield self._oversized() if self._toss() else self._oversized_without_token()
            else:
                yield self._random.choice(self._makers)()

    # Who they are not -----------------------------------------------------------------------------

    def _genuine(self) -> tuple[str, bytes]:
        """Return what would raise a target, were it sent by who may."""
        if self._toss():
            return PUSH, self._push()
        return WEBHOOK, dump(hooked("target-1"))

    def _without_token(self) -> Post:
        path, body = self._genuine()
        return Post("no token", path, body, REFUSED)

    def _bad_token(self) -> Post:
        path, body = self._genuine()
        good = self._token if path == PUSH else self._hook_token
        spoilt = [
            self._word(40),
            good[: self._random.randrange(1, len(good))],
            # Not with an equals sign: that is padding, and so the same token.
            good + self._random.choice([b"a", b"."]),
            good[:-9] + b"x" + good[-8:] if good[-9:-8] != b"x" else good[:-9] + b"y" + good[-8:],
            b".".join(self._word(30) for _ in range(3)),
            self._unsigned(),
        ]
        return Post("bad token", path, body, REFUSED, token=self._random.choice(spoilt))

    def _bytes_as_token(self) -> Post:
        path, body = self._genuine()
        token = self._random.randbytes(20).translate(None, delete=b"\r\n\0")
        # What HTTP itself does not allow is answered before anybody is asked.
        return Post("bytes as token", path, body, REFUSED | MALFORMED, token=token)

    def _borrowed_token(self) -> Post:
        """Return a post with a token that is good for the other path."""
        if self._toss():
            return Post("borrowed token", PUSH, self._push(), REFUSED, token=self._hook_token)
        body = dump(hooked("target-1"))
        return Post("borrowed token", WEBHOOK, body, REFUSED, token=self._token)

    def _other_namespace(self) -> Post:
        names = ["default", "kube-system", "x", "%2e%2e", "*", f"{NAMESPACE}x", "\udca0", "%a0"]
        name = self._random.choice(names)
        body, right = dump(hooked("target-1")), REFUSED | MALFORMED
        return Post("other namespace", f"/webhook/{name}", body, right, token=self._hook_token)

    # What who may send does not mean --------------------------------------------------------------

    def _replayed(self) -> Post:
        """Return what was right once: an alert whose end has passed, or that has resolved."""
        if self._toss():
            body = dump([pushed("target-0", endsAt="2020-01-01T00:00:00Z")])
            return self._authentic("replayed", body, USELESS)
        return self._authentic("replayed", dump(hooked("target-1", "resolved")), USELESS, WEBHOOK)

    def _other_alert(self) -> Post:
        alert = pushed("target-0")
        alert["labels"] |= self._random.choice([{"alertname": f"{ALERT}s"}, {"target": "target"}])
        return self._authentic("other alert", dump([alert]), USELESS)

    def _no_json(self) -> Post:
        body = self._random.randbytes(self._random.randrange(200))
        return self._authentic("no JSON", b"\xff\x00" + body, MALFORMED)

    def _truncated(self) -> Post:
        body = self._push()
        part = body[: self._random.randrange(len(body) - 1)]
        return self._authentic("truncated", part, MALFORMED)

    def _nested(self) -> Post:
        depth = self._random.choice([100, 900, 980, 990, 1000, 5000, 100_000])
        opening, closing = self._random.choice([(b"[", b"]"), (b'{"labels":', b"}")])
        body = opening * depth + b"1" + closing * depth
        alert = b'[{"labels":{"alertname":"Other"},"startsAt":' + body + b"}]"
        shape = self._random.choice([body, b"[" + body + b"]", alert])
        return self._authentic("nested", shape, MALFORMED | USELESS)

    def _mutated(self) -> Post:
        """Return a push with some bytes changed, about an alert that is far from any trigger."""
        alert = {"labels": {"alertname": "Other", "pod": "a"}, "startsAt": "2026-01-01T00:00:00Z"}
        body = bytearray(dump([alert]))
        for _ in range(self._random.randrange(1, 8)):
            body[self._random.randrange(len(body))] = self._random.randrange(256)
        return self._authentic("mutated", bytes(body), MALFORMED | USELESS)

    def _nonsense(self) -> Post:
        path = self._random.choice([PUSH, WEBHOOK])
        return self._authentic("nonsense", dump(self._value(4)), MALFORMED | USELESS, path)

    def _nonsense_in_alert(self) -> Post:
        names = ("labels", "annotations", "startsAt", "endsAt", "status", "generatorURL")
        alert = {name: self._value(3) for name in names if self._toss()}
        if self._toss():
            alert["labels"] = {"alertname": "Other", self._text(5): self._text(20)}
        alerts: Any = [alert] * self._random.choice([1, 2, 50])
        right = MALFORMED | USELESS
        if self._toss():
            return self._authentic("nonsense in alert", dump(alerts), right)
        message = {"version": "4", "alerts": alerts, "truncatedAlerts": self._value(1)}
        return self._authentic("nonsense in alert", dump(message), right, WEBHOOK)

    def _other_type(self) -> Post:
        kinds = ["text/plain", "application/xml", "multipart/form-data; boundary=x", ""]
        headers = {"Content-Type": self._random.choice(kinds)}
        body = b"<alert name='" + ALERT.encode() + b"'/>"
        return Post("other type", PUSH, body, MALFORMED, token=self._token, headers=headers)

    def _other_method(self) -> Post:
        method = self._random.choice(["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
        right, token = MALFORMED, self._token
        return Post("other method", PUSH, self._push(), right, token=token, method=method)

    def _other_path(self) -> Post:
        paths = ["/", "/api/v1/alerts", f"{PUSH}/", "/webhook", "/webhook/", "/metrics", "/-/x"]
        path = self._random.choice(paths)
        return Post("other path", path, self._push(), MALFORMED, token=self._token)

    def _packed(self) -> Post:
        """Return a post that says of its body how it is to be unpacked; some would be genuine."""
        path, body = self._genuine()
        token = self._token if path == PUSH else self._hook_token
        packed = self._random.choice([gzip.compress(body), self._random.randbytes(50), _PACKED])
        headers = {"Content-Encoding": self._random.choice(["gzip", "deflate", "br", "zstd", "x"])}
        return Post("packed", path, packed, MALFORMED, token=token, headers=headers)

    def _two_lengths(self) -> Post:
        """Return a post that says twice how long it is, as to smuggle another one in."""
        headers = {"Transfer-Encoding": self._random.choice(["chunked", "gzip, chunked", "x"])}
        body = b"0\r\n\r\n" + self._push()
        return Post("two lengths", PUSH, body, MALFORMED, token=self._token, headers=headers)

    def _cut_short(self) -> Post:
        """Return a genuine post of which only the last byte does not come."""
        path, body = self._genuine()
        token = self._token if path == PUSH else self._hook_token
        headers = {"Content-Length": str(len(body))}
        right = MALFORMED | {CLOSED}
        return Post("cut short", path, body[:-1], right, token, headers, hangs_up=True)

    def _oversized_without_token(self) -> Post:
        return Post("oversized", PUSH, _OVERSIZED, REFUSED | {CLOSED})

    def _oversized(self) -> Post:
        return self._authentic("oversized", _OVERSIZED, MALFORMED | {CLOSED})

    # Parts ----------------------------------------------------------------------------------------

    def _authentic(self, kind: str, body: bytes, right: frozenset[int], path: str = PUSH) -> Post:
        token = self._token if path == PUSH else self._hook_token
        return Post(kind, path, body, right, token=token)

    def _push(self) -> bytes:
        return dump([pushed("target-0", self._random.randrange(1000))])

    def _toss(self) -> bool:
        return bool(self._random.getrandbits(1))

    def _word(self, length: int) -> bytes:
        signs = b"abcdefghijklmnopqrstuvwxyz012345-_"
        return bytes(self._random.choice(signs) for _ in range(length))

    def _text(self, length: int) -> str:
        return "".join(chr(self._random.choice(_SIGNS)) for _ in range(length))

    def _unsigned(self) -> bytes:
        """Return a token that says all that it should and that nobody has signed."""
        claims = {
            "aud": ["firewatch-receiver"],
            "exp": int(time.time()) + 3600,
            "sub": f"system:serviceaccount:{NAMESPACE}:firewatch-prometheus",
        }
        head = {"alg": self._random.choice(["none", "HS256", "RS256"])}
        parts = [base64.urlsafe_b64encode(dump(part)).rstrip(b"=") for part in (head, claims)]
        return b".".join([*parts, self._word(12)])

    def _value(self, depth: int) -> Any:
        """Return any JSON."""
        match self._random.randrange(7 if depth else 5):
            case 4:
                return self._text(self._random.randrange(30))
            case 5:
                return [self._value(depth - 1) for _ in range(self._random.randrange(4))]
            case 6:
                size = self._random.randrange(4)
                return {self._text(6): self._value(depth - 1) for _ in range(size)}
            case which:
                return self._random.choice(_SCALARS[which])


def dump(value: Any) -> bytes:
    """Return a value as JSON."""
    return json.dumps(value).encode()
