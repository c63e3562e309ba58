"""blackbox.yml: the modules of the blackbox exporter."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping

from firewatch.api.blackbox import (
    DnsProbe,
    HttpMethod,
    HttpProbe,
    IcmpProbe,
    JsonMatch,
    ProbeModule,
    Prober,
    ProbeTls,
    TcpProbe,
)
from firewatch.api.exporters import BlackboxExporter
from firewatch.api.json_path import json_steps
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.api.synthetic import HealthCheck
from firewatch.build.yaml_text import dump_yaml

SECRETS_DIRECTORY = "/etc/blackbox-secrets"

BUILT_IN: Mapping[str, ProbeModule] = {
    "http_2xx": ProbeModule(prober=Prober.HTTP),
    "http_post_2xx": ProbeModule(prober=Prober.HTTP, http=HttpProbe(method=HttpMethod.POST)),
    "tcp_connect": ProbeModule(prober=Prober.TCP),
    "icmp": ProbeModule(prober=Prober.ICMP),
}
"""Modules that are always there, by the names that the exporter's own configuration has."""

_NO_TEXT = re.compile(r"true|false|null|-?(0|[1-9][0-9]{0,14})(\.[0-9]{1,15})?")
"""Texts that are JSON values of another type, and CEL literals of the same."""
_Block = HttpProbe | TcpProbe | IcmpProbe | DnsProbe
_BY_REFERENCE = {
    *("tls_config", "basic_auth", "authorization"),
    *("secret_headers", "fail_if_body_json_not_matches"),
}


def modules_of(exporter: BlackboxExporter) -> dict[str, ProbeModule]:
    """Return every module by name: the user's own, and those that are always there."""
    return {**BUILT_IN, **exporter.modules}


def check_module(check: HealthCheck) -> str:
    """Return the name of a health check's module; with its hyphen no module of the user's has it."""
    return f"health-{check.name}"


def _all_modules(
    exporter: BlackboxExporter, checks: Iterable[HealthCheck]
) -> dict[str, ProbeModule]:
    asked = {
        check_module(check): ProbeModule(prober=Prober.HTTP, timeout=check.timeout, http=check.http)
        for check in checks
    }
    return {**modules_of(exporter), **asked}


def render_blackbox_config(exporter: BlackboxExporter, checks: Iterable[HealthCheck] = ()) -> str:
    """Return blackbox.yml."""
    modules = _all_modules(exporter, checks)
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
        if headers := probe.secret_headers:
            found["http_headers"] = {n: {"files": [_path(headers[n])]} for n in sorted(headers)}
        if parts := probe.fail_if_body_json_not_matches:
            found["fail_if_body_json_not_matches_cel"] = " && ".join(map(_json_test, parts))
    return found


def _json_test(part: JsonMatch) -> str:
    """Return the CEL expression that compares a part of a body with a text.

    Names are given as texts, so that none is taken for a word of CEL's own. A number or a truth value
    may stand in the body as such, which the exporter's CEL cannot make a text of.
    """
    steps = "".join(f"[{json.dumps(step)}]" for step in json_steps(part.path))
    texts = [json.dumps(part.equals)]
    if _NO_TEXT.fullmatch(part.equals):
        texts.append(part.equals)
    return f"body{steps} in [{', '.join(texts)}]"


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


def secret_keys(
    exporter: BlackboxExporter, checks: Iterable[HealthCheck] = ()
) -> dict[str, set[str]]:
    """Return the keys that the modules need, by the name of their Secret."""
    keys: dict[str, set[str]] = {}
    for module in _all_modules(exporter, checks).values():
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
    if isinstance(probe, HttpProbe):
        yield from probe.secret_headers.values()
