"""The certificates of a Prometheus that serves HTTPS: whether they are some, and have the name."""

from collections.abc import Mapping, Sequence

from firewatch.api.conditions import Finding, bad
from firewatch.api.stack import JobStatus
from firewatch.build import names
from firewatch.build.mounted_files import FileRef
from firewatch.build.objects import Stack
from firewatch.build.web import certificates, server_name, web_tls
from firewatch.cluster.trust import trusting
from firewatch.reconcile.findings import ACCEPTED
from firewatch.reconcile.secrets import HeldFile

_REFUSED = "x509: "
"""What Go begins its verdict on a certificate with."""


def find_no_certificates(stack: Stack, held: Mapping[FileRef, HeldFile]) -> frozenset[FileRef]:
    """Return the keys that are there and should hold certificates, but do not."""
    tls = web_tls(stack.spec.metrics)
    refs = {ref for _, ref in certificates(tls)} if tls else set()
    return frozenset(ref for ref in refs if ref in held and not _holds_certificates(held[ref]))


def _holds_certificates(file: HeldFile) -> bool:
    return trusting(file.content.decode(errors="replace"), pinned=False) is not None


def explain_self_scrape(stack: Stack, jobs: Sequence[JobStatus]) -> list[Finding]:
    """Return that Prometheus refuses its own certificate, if so (pure).

    Where the very certificate is trusted, the name is checked here only. What speaks is Prometheus'
    own client, so that other programs will say the same.
    """
    tls = web_tls(stack.spec.metrics)
    row = next((job for job in jobs if job.name == names.PROMETHEUS_JOB), None)
    if tls is None or row is None or row.up >= row.targets or _REFUSED not in row.message:
        return []
    verdict = row.message.rpartition(_REFUSED)[2]
    name = server_name(tls, stack.name, stack.namespace)
    message = (
        f"metrics.web.tlsConfig.cert: Prometheus' scrape of itself refuses the certificate: {verdict};"
        f" issue one that is valid for {name}, or set serverName to a name that it has"
    )
    return [bad(ACCEPTED, "CertificateRefused", message)]
