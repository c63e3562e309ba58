"""The certificate of the alert receiver: mounted files, used anew when they change.

Nothing is restarted for it: each new connection is made with the pair that was good last. A pair that
cannot be used costs nothing but a line in the log and a metric, and if there has never been one,
connections are refused; the receiver never falls back to HTTP.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from firewatch.cluster.trust import first_certificate, trusting
from firewatch.metrics import AlertMetrics

_log = logging.getLogger(__name__)

CERTIFICATE, KEY, AUTHORITY = "tls.crt", "tls.key", "ca.crt"
"""Files of the folder, named as in a Secret of the type kubernetes.io/tls, by cert-manager too."""
_PERIOD_SECONDS = 2.0
"""How often the files are looked at; the kubelet takes up to a minute to change them."""


class UnusableError(Exception):
    """The files cannot be used; ``str()`` says why."""


@dataclass(frozen=True)
class Authority:
    """By what others know the receiver."""

    text: str
    """Certificates that are to be trusted, in PEM form; empty while there are none."""
    pinned: bool = False
    """Whether it is the receiver's own certificate, for want of an authority."""

    def context(self) -> ssl.SSLContext | None:
        """Return what a client of the receiver checks it by; None if there is nothing to trust."""
        return trusting(self.text, pinned=self.pinned)


class ServingCertificate:
    """Certificate and key in a folder, and what is served with them."""

    def __init__(
        self, folder: Path, metrics: AlertMetrics, *, changed: Callable[[], object]
    ) -> None:
        self._folder = folder
        self._metrics = metrics
        self._changed = changed
        self._seen: tuple[bytes, ...] | None = None
        self._current: ssl.SSLContext | None = None
        self.authority = Authority("")
        """By what others know the receiver at present."""
        self.context = _server_context()
        """What the receiver listens with; each connection gets the pair of that moment."""
        self.context.sni_callback = self._choose

    def refresh(self) -> None:
        """Look at the files, and use them from now on if they have changed and are good."""
        place = _place(self._folder)
        seen = tuple(_read(place / name) for name in (CERTIFICATE, KEY, AUTHORITY))
        if seen == self._seen:
            return
        self._seen = seen
        try:
            self._use(place)
        except UnusableError as error:
            kept = "the last good one goes on being used" if self._current else "nobody can connect"
            _log.error(
                "the receiver's certificate in %s cannot be used: %s; %s", place, error, kept
            )
            self._metrics.certificate_usable.set(0)
            return
        _log.info("the receiver's certificate in %s is used", place)
        self._metrics.certificate_usable.set(1)

    async def follow(self) -> None:
        """Follow the files until cancelled."""
        while True:
            await asyncio.sleep(_PERIOD_SECONDS)
            self.refresh()

    def _use(self, place: Path) -> None:
        fresh = _server_context()
        _load(fresh, place)
        # For a client that a connection is begun with before it has said what it wants. If the files
        # are taken away in between, nothing has changed yet, and nobody has to be told.
        _load(self.context, place)
        before, self.authority = self.authority, _authority(place)
        self._current = fresh
        if self.authority != before:
            self._changed()

    def _choose(
        self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext
    ) -> int | None:
        """Give a new connection the present pair; without one it is refused."""
        if self._current is None:
            return ssl.AlertDescription.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


def _server_context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _place(folder: Path) -> Path:
    """Return the folder itself: the kubelet changes all files at once, behind one link."""
    data = folder / "..data"
    return data.resolve() if data.exists() else folder


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _load(context: ssl.SSLContext, place: Path) -> None:
    for name in (CERTIFICATE, KEY):
        if not _read(place / name):
            raise UnusableError(f"{name} is missing or empty; put it into the Secret")
    try:
        # A key with a passphrase would otherwise be asked for at the terminal.
        context.load_cert_chain(place / CERTIFICATE, place / KEY, password=lambda: "")
    except ssl.SSLError as error:
        raise UnusableError(_explain(error)) from error
    except (OSError, ValueError) as error:
        raise UnusableError(str(error)) from error


def _explain(error: ssl.SSLError) -> str:
    if error.reason == "KEY_VALUES_MISMATCH":
        return f"{KEY} is not the key of {CERTIFICATE}; put a pair into the Secret"
    return (
        f"{CERTIFICATE} or {KEY} is not in PEM form, or the key has a passphrase"
        f" ({error.reason or error}); put a certificate and its key into the Secret"
    )


def _authority(place: Path) -> Authority:
    """Return who has signed, or for want of that the certificate itself."""
    text = _read(place / AUTHORITY).decode("ascii", errors="replace")
    if trusting(text, pinned=False) is not None:
        return Authority(text)
    own = _read(place / CERTIFICATE).decode("ascii", errors="replace")
    return Authority(first_certificate(own), pinned=True)
