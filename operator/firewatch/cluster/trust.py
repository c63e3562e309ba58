"""By what the certificate of a Prometheus is checked."""

import re
import ssl
from dataclasses import dataclass
from functools import lru_cache

from firewatch.api.web import WebTlsConfig
from firewatch.cluster.client import Cluster
from firewatch.cluster.files import place, read_file

_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----", re.ASCII
)
_MOST_KEPT = 256
# OpenSSL's own numbers (x509_vfy.h).
_OUTDATED = frozenset((9, 10))
_OTHER_PURPOSE = 26
_OTHER_NAME = frozenset((62, 64))


@dataclass(frozen=True)
class Trust:
    """Which certificate is believed, and under which name."""

    source: str
    """Where the trusted certificates stand, in words."""
    server_name: str
    """Name that the server is asked for and, unless it is known by its very certificate, must have."""
    pinned: bool = False
    """Whether exactly one certificate is trusted, whatever its name and whoever signed it."""
    context: ssl.SSLContext | None = None
    """None if there is nothing that could be trusted."""
    problem: str = ""
    """Why there is nothing; empty if there is."""
    field: str = "metrics.web.tlsConfig"
    """Where the user has said so."""

    def explain(self, code: int, words: str) -> str:
        """Return why a server's certificate is refused, and what helps, from OpenSSL's verdict."""
        refused = f"its certificate is refused: {words.rstrip('.')}"
        if code in _OUTDATED:
            return f"{refused}; renew it"
        if code == _OTHER_PURPOSE:
            return f"{refused}; issue one that servers may use (serverAuth)"
        if self.pinned:
            return (
                f"it does not show the certificate in {self.source} yet ({words}); a pod takes a"
                " changed one within about a minute, and then this goes away by itself"
            )
        if code in _OTHER_NAME:
            return (
                f"{refused}; issue one with this name, or set {self.field}.serverName to a"
                " name that it has"
            )
        return (
            f"{refused}; no authority in {self.source}, which {self.field}.ca names, has signed it"
        )


async def gather_trust(
    cluster: Cluster, namespace: str, tls: WebTlsConfig, server_name: str
) -> Trust:
    """Return what the Prometheus of a stack is trusted by; of Secrets, only public parts are used.

    That the files are missing or unfit is said by the answer, and by every request made with it.
    """
    pinned = tls.ca is None
    source = tls.ca or tls.cert
    kind, name, key = place(source)
    where = f"key {key} of {kind.kind} {name}"
    text = await read_file(cluster, namespace, source)
    if not text:
        return Trust(where, server_name, problem=f"{where} is missing; create it")
    context = trusting(text, pinned=pinned)
    if context is None:
        return Trust(where, server_name, problem=f"{where} holds no certificate in PEM form")
    return Trust(where, server_name, pinned, context)


def trusting(text: str, *, pinned: bool) -> ssl.SSLContext | None:
    """Return a context that believes the certificates of a text, or only the first of them.

    None if the text holds none, or one that cannot be read. Equal texts have one context, so that
    connections are used again.
    """
    blocks = _CERTIFICATE.findall(text)
    wanted = blocks[:1] if pinned else blocks
    return _context("\n".join(wanted), pinned=pinned) if wanted else None


def first_certificate(text: str) -> str:
    """Return the first certificate of a text, which is a server's own; empty if it holds none."""
    found = _CERTIFICATE.search(text)
    return f"{found[0]}\n" if found else ""


@lru_cache(maxsize=_MOST_KEPT)
def _context(certificates: str, *, pinned: bool) -> ssl.SSLContext | None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(cadata=certificates)
    except ssl.SSLError:
        return None
    if pinned:
        # Without this flag a certificate is only believed together with the one that signed it.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
    return context
