"""Grafana's data sources: those of the stack and the user's, as one provisioning file.

Grafana expands ``$NAME`` and ``$__file{…}`` in the values of such a file, and takes ``$$`` for a
dollar sign (Grafana, "Provision Grafana").
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from firewatch.api.external import ExternalPrometheus
from firewatch.api.resource import Object
from firewatch.api.visualization import OWN_NAMES, DataSource, Visualization
from firewatch.build import names
from firewatch.build.mounted_files import FileRef, either, find_files
from firewatch.build.objects import Part, Stack, secret
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_data_sources
from firewatch.build.web import prometheus_url, server_name, web_tls
from firewatch.build.yaml_text import dump_yaml

REVISION = "firewatchRevision"
"""Setting of every data source by which Grafana shows which file it has read; no plugin knows it."""

_PROMETHEUS, _ALERTMANAGER = OWN_NAMES


@dataclass(frozen=True)
class DataSources:
    """What Grafana is given."""

    names: tuple[str, ...]
    revision: str
    """Hash of the file but its credentials, for which the versions of their Secrets stand."""
    text: str = field(repr=False)
    """The file, with credentials."""


def build_data_sources(stack: Stack, wanted: Visualization, around: Surroundings) -> DataSources:
    """Return the data sources that can be had; without its credentials one is left out."""
    found = [*_own(stack, wanted, around)]
    chosen = usable_data_sources(wanted, around)
    found += [_users(each, around) for each in chosen]
    versions = sorted(
        f"{ref.name}/{ref.key}={around.versions.get(ref, '')}"
        for ref in data_source_files(stack, wanted)
    )
    public = [{**each, "secureJsonData": None} for each in found]
    revision = names.short_hash(json.dumps([public, versions], sort_keys=True), 16)
    shown = [_with_revision(each, revision) for each in found]
    document = {"apiVersion": 1, "prune": True, "datasources": shown}
    return DataSources(
        tuple(each["name"] for each in found), revision, dump_yaml(_escaped(document))
    )


def build_data_sources_secret(stack: Stack, sources: DataSources) -> Object:
    """Return the Secret with the file."""
    part = Part(stack, names.grafana_sources_name(stack.name), names.GRAFANA, names.VISUALIZATION)
    return secret(part, {names.GRAFANA_SOURCES_KEY: sources.text.encode()})


def data_source_files(stack: Stack, wanted: Visualization) -> frozenset[FileRef]:
    """Return the keys of which the data sources hold a copy."""
    found: set[FileRef] = set()
    found |= {*find_files(wanted.data_sources), *find_files(stack.spec.external.prometheus)}
    if tls := web_tls(stack.spec.metrics):
        found.add(either(tls.ca or tls.cert))
    return frozenset(found)


def _own(stack: Stack, wanted: Visualization, around: Surroundings) -> Iterator[Object]:
    """Yield the data sources for what runs in the stack."""
    chosen = any(each.is_default for each in usable_data_sources(wanted, around))
    if metrics := stack.spec.metrics:
        settings = _prometheus_settings(metrics.scrape_interval)
        secrets: dict[str, str] = {}
        if tls := web_tls(metrics):
            authority = _text(around.contents, either(tls.ca or tls.cert))
            settings |= {
                "tlsAuthWithCACert": True,
                "serverName": server_name(tls, stack.name, stack.namespace),
            }
            secrets = {"tlsCACert": authority}
        source = _source(_PROMETHEUS, "prometheus", prometheus_url(stack), settings, secrets)
        yield {**source, "uid": "prometheus", "isDefault": not chosen}
    external = stack.spec.external.prometheus
    if external and around.missing.isdisjoint(find_files(external)):
        yield {**_elsewhere(external, around), "uid": "prometheus", "isDefault": not chosen}
    if stack.spec.alerting:
        settings = {"implementation": "prometheus", "handleGrafanaManagedAlerts": False}
        url = names.alertmanager_url(stack.name, stack.namespace)
        yield {**_source(_ALERTMANAGER, "alertmanager", url, settings, {}), "uid": "alertmanager"}


def _elsewhere(server: ExternalPrometheus, around: Surroundings) -> Object:
    """Return the data source for a Prometheus that others run."""
    settings = _prometheus_settings(server.scrape_interval)
    secrets: dict[str, str] = {}
    access: Object = {}
    if tls := server.tls_config:
        settings["tlsAuthWithCACert"] = True
        settings |= {"serverName": tls.server_name} if tls.server_name else {}
        secrets["tlsCACert"] = _text(around.contents, either(tls.ca))
    if token := server.authorization:
        settings["httpHeaderName1"] = "Authorization"
        secrets["httpHeaderValue1"] = f"{token.type} {_text(around.contents, token.credentials)}"
    if login := server.basic_auth:
        access = {"basicAuth": True, "basicAuthUser": _text(around.contents, login.username)}
        secrets["basicAuthPassword"] = _text(around.contents, login.password)
    return {**_source(_PROMETHEUS, "prometheus", server.url, settings, secrets), **access}


def _prometheus_settings(scrape_interval: str) -> Object:
    return {
        "httpMethod": "POST",
        "manageAlerts": False,
        "prometheusType": "Prometheus",
        "timeInterval": scrape_interval,
    }


def _users(source: DataSource, around: Surroundings) -> Object:
    """Return a data source that the user has asked for."""
    secrets = {name: _text(around.contents, ref) for name, ref in source.secure_json_data.items()}
    found = _source(source.name, source.type, source.url, dict(source.json_data), secrets)
    found |= {"uid": source.uid} if source.uid else {}
    found |= {"user": source.user} if source.user else {}
    if auth := source.basic_auth:
        found |= {"basicAuth": True, "basicAuthUser": auth.username}
        found["secureJsonData"]["basicAuthPassword"] = _text(around.contents, auth.password)
    return {**found, "isDefault": source.is_default}


def _source(
    name: str, kind: str, url: str | None, settings: Object, secrets: Mapping[str, str]
) -> Object:
    return {
        "name": name,
        "type": kind,
        "access": "proxy",
        "orgId": 1,
        **({"url": url} if url else {}),
        "editable": False,
        "jsonData": settings,
        "secureJsonData": {**secrets},
    }


def _text(contents: Mapping[FileRef, bytes], ref: FileRef) -> str:
    """Return what a key holds, without the blanks around it; nothing where it is not known."""
    return contents.get(ref, b"").decode(errors="replace").strip()


def _with_revision(source: Object, revision: str) -> Object:
    return {**source, "jsonData": {**source["jsonData"], REVISION: revision}}


def _escaped(value: Any) -> Any:
    """Return a value in which Grafana finds nothing to expand."""
    if isinstance(value, str):
        return value.replace("$", "$$")
    if isinstance(value, Mapping):
        return {name: _escaped(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_escaped(each) for each in value]
    return value
