"""blackbox.yml: the modules of the blackbox exporter."""

from collections.abc import Iterator, Mapping

from firewatch.api.blackbox import (
    DnsProbe,
    HttpMethod,
    HttpProbe,
    IcmpProbe,
    ProbeModule,
    Prober,
    ProbeTls,
    TcpProbe,
)
from firewatch.api.exporters import BlackboxExporter
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.build.yaml_text import dump_yaml

SECRETS_DIRECTORY = "/etc/blackbox-secrets"

BUILT_IN: Mapping[str, ProbeModule] = {
    "http_2xx": ProbeModule(prober=Prober.HTTP),
    "http_post_2xx": ProbeModule(prober=Prober.HTTP, http=HttpProbe(method=HttpMethod.POST)),
    "tcp_connect": ProbeModule(prober=Prober.TCP),
    "icmp": ProbeModule(prober=Prober.ICMP),
}
"""Modules that are always there, by the names that the exporter's own configuration has."""

_Block = HttpProbe | TcpProbe | IcmpProbe | DnsProbe
_BY_REFERENCE = {"tls_config", "basic_auth", "authorization"}


def modules_of(exporter: BlackboxExporter) -> dict[str, ProbeModule]:
    """Return every module by name: the user's own, and those that are always there."""
    return {**BUILT_IN, **exporter.modules}


def render_blackbox_config(exporter: BlackboxExporter) -> str:
    """Return blackbox.yml."""
    modules = modules_of(exporter)
    return dump_yaml({"modules": {name: _module(modules[name]) for name in sorted(modules)}})


def _module(module: ProbeModule) -> Object:
    found: Object = {"prober": module.prober.value}
    if module.timeout:
        found["timeout"] = module.timeout
    return {**found, module.prober.value: _block(_probe(module))}


def _probe(module: ProbeModule) -> _Block:
    """Return the block of the module's prober, its defaults if the module has none."""
    match module.prober:
        case Prober.HTTP:
            return module.http or HttpProbe()
        case Prober.TCP:
            return module.tcp or TcpProbe()
        case Prober.ICMP:
            return module.icmp or IcmpProbe()
        case Prober.DNS:
            assert module.dns, "a rule of the CRD asks for it"
            return module.dns


def _block(probe: _Block) -> Object:
    """Return a block in the exporter's words, which are the names of our fields.

    What is as both we and the exporter have it by default is left out.
    """
    found: Object = {"preferred_ip_protocol": probe.preferred_ip_protocol.value}
    if isinstance(probe, DnsProbe):
        found["query_type"] = probe.query_type.value
    found |= probe.model_dump(mode="json", exclude_defaults=True, exclude=_BY_REFERENCE)
    if not isinstance(probe, IcmpProbe) and probe.tls_config:
        found["tls_config"] = _tls(probe.tls_config)
    if isinstance(probe, HttpProbe):
        found |= _credentials(probe)
    return found


def _tls(tls: ProbeTls) -> Object:
    found: Object = {"insecure_skip_verify": tls.insecure_skip_verify}
    if tls.server_name:
        found["server_name"] = tls.server_name
    if tls.ca:
        found["ca_file"] = _path(tls.ca)
    return found


def _credentials(probe: HttpProbe) -> Object:
    if basic := probe.basic_auth:
        return {"basic_auth": {"username": basic.username, "password_file": _path(basic.password)}}
    if header := probe.authorization:
        return {
            "authorization": {
                "type": header.type,
                "credentials_file": _path(header.credentials),
            }
        }
    return {}


def _path(selector: SecretKeySelector) -> str:
    return f"{SECRETS_DIRECTORY}/{selector.name}/{selector.key}"


def secret_keys(exporter: BlackboxExporter) -> dict[str, set[str]]:
    """Return the keys that the modules need, by the name of their Secret."""
    keys: dict[str, set[str]] = {}
    for module in exporter.modules.values():
        for selector in _selectors(_probe(module)):
            keys.setdefault(selector.name, set()).add(selector.key)
    return keys


def _selectors(probe: _Block) -> Iterator[SecretKeySelector]:
    if not isinstance(probe, IcmpProbe) and probe.tls_config and probe.tls_config.ca:
        yield probe.tls_config.ca
    if isinstance(probe, HttpProbe) and probe.basic_auth:
        yield probe.basic_auth.password
    if isinstance(probe, HttpProbe) and probe.authorization:
        yield probe.authorization.credentials
