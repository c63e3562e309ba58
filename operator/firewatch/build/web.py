"""HTTPS of a stack's Prometheus: web.yml, and how Prometheus scrapes itself then."""

from collections.abc import Iterator

from firewatch.api.metrics import Metrics
from firewatch.api.resource import Object
from firewatch.api.web import WebTlsConfig
from firewatch.build import names
from firewatch.build.mounted_files import FileRef, either, file_path
from firewatch.build.objects import Stack
from firewatch.build.yaml_text import dump_yaml


def web_tls(metrics: Metrics | None) -> WebTlsConfig | None:
    """Return how Prometheus serves HTTPS; None if it serves HTTP, or is not there."""
    return metrics.web.tls_config if metrics and metrics.web else None


def serves_https(stack: Stack) -> bool:
    """Tell whether the stack's Prometheus serves HTTPS."""
    return web_tls(stack.spec.metrics) is not None


def prometheus_url(stack: Stack) -> str:
    """Return the address of the stack's Prometheus inside the cluster."""
    scheme = "https" if serves_https(stack) else "http"
    return (
        f"{scheme}://{names.prometheus_host(stack.name, stack.namespace)}:{names.PROMETHEUS_PORT}"
    )


def server_name(tls: WebTlsConfig, stack: str, namespace: str) -> str:
    """Return the name that the certificate must have."""
    return tls.server_name or names.prometheus_host(stack, namespace)


def certificates(tls: WebTlsConfig) -> Iterator[tuple[str, FileRef]]:
    """Yield the files of certificates, each with the name of its field."""
    yield "cert", either(tls.cert)
    if tls.ca:
        yield "ca", either(tls.ca)


def render_web_config(tls: WebTlsConfig) -> str:
    """Return web.yml, which Prometheus reads anew for each connection."""
    server = {
        "cert_file": file_path(either(tls.cert)),
        "key_file": file_path(tls.key_secret),
        "min_version": tls.min_version.value,
    }
    return dump_yaml({"tls_server_config": server})


def self_scrape(stack: Stack, tls: WebTlsConfig, unusable: frozenset[FileRef]) -> Object:
    """Return the fields of Prometheus' job for itself that concern TLS.

    With a file that it cannot use, Prometheus would not take its whole configuration; without one
    this scrape alone fails.
    """
    trusted = either(tls.ca or tls.cert)
    check: Object = {} if trusted in unusable else {"ca_file": file_path(trusted)}
    check["server_name"] = server_name(tls, stack.name, stack.namespace)
    return {"scheme": "https", "tls_config": check}
