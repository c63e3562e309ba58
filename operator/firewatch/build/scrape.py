"""prometheus.yml: what a stack's Prometheus scrapes, evaluates and notifies."""

import ipaddress
from typing import Any

from firewatch.api.metrics import Metrics
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.escalations import escalation_drop, origin_relabeling
from firewatch.build.exporter_jobs import build_exporter_jobs
from firewatch.build.objects import Stack
from firewatch.build.own_rules import own_rule_files, render_own_rules
from firewatch.build.raw_scrapes import raw_scrapes_path
from firewatch.build.remote_write import build_remote_write
from firewatch.build.retention import own_retention
from firewatch.build.scrape_jobs import build_scrape_job, limits
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_jobs, usable_remotes
from firewatch.build.web import self_scrape, web_tls
from firewatch.build.yaml_text import dump_yaml, load_yaml

_FILES = "scrape_config_files"
_REVISION = f"{names.CONFIG_DIRECTORY}/revision-"


def render_prometheus_config(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> str:
    """Return prometheus.yml for a stack.

    ``rule_files`` ends with a path that matches nothing and names the hash of all the rest. The
    server shows it in ``/api/v1/status/config``, which proves that it runs this very text.
    """
    config: Object = {
        "global": _global(metrics),
        "rule_files": [
            f"{names.RULES_DIRECTORY}/*.yml",
            *own_rule_files(render_own_rules(stack, surroundings)),
        ],
        "scrape_configs": _scrape_configs(stack, metrics, surroundings),
        "alerting": _alerting(stack, metrics, surroundings),
        "storage": {"tsdb": {"retention": _retention(metrics, surroundings)}},
    }
    if remotes := usable_remotes(metrics, surroundings):
        config["remote_write"] = [build_remote_write(remote) for remote in remotes]
    raw = surroundings.raw_scrapes
    if raw and raw.file:
        config[_FILES] = [raw_scrapes_path(raw)]
    return _with_revision(config)


def without_raw_scrapes(text: str) -> str | None:
    """Return a configuration without jobs in Prometheus' own words; None if it has none."""
    if f"{_FILES}:" not in text:
        return None
    config = load_yaml(text)
    del config[_FILES]
    del config["rule_files"][-1]
    return _with_revision(config)


def has_raw_scrapes(config: Object) -> bool:
    """Tell whether a configuration has jobs in Prometheus' own words."""
    return _FILES in config


def _with_revision(config: Object) -> str:
    config["rule_files"].append(_REVISION + names.short_hash(dump_yaml(config), 16))
    return dump_yaml(config)


def config_revision(text: str) -> str | None:
    """Return the hash that a configuration names, as written or as shown by the server."""
    return revision_of(load_yaml(text))


def revision_of(config: Any) -> str | None:
    """Return the hash that a configuration names, which has been read already."""
    files = config.get("rule_files") if isinstance(config, dict) else None
    for path in files or ():
        if isinstance(path, str) and path.startswith(_REVISION):
            return path.removeprefix(_REVISION)
    return None


def _global(metrics: Metrics) -> Object:
    section: Object = {
        "scrape_interval": metrics.scrape_interval,
        "evaluation_interval": metrics.evaluation_interval,
        **limits(metrics),
    }
    # Prometheus expands $NAME and ${NAME} from its environment in these values.
    labels = {
        name: metrics.external_labels[name].replace("$", "$$")
        for name in sorted(metrics.external_labels)
    }
    if metrics.replicas > 1:
        labels[names.REPLICA_LABEL] = "${HOSTNAME}"
    if labels:
        section["external_labels"] = labels
    return section


def _alerting(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> Object:
    """Return who is told of alerts, which are the same from each replica."""
    section: Object = {"alertmanagers": _alertmanagers(stack, surroundings)}
    if metrics.replicas > 1:
        section["alert_relabel_configs"] = [{"regex": names.REPLICA_LABEL, "action": "labeldrop"}]
    return section


def _retention(metrics: Metrics, surroundings: Surroundings) -> Object:
    """Return the retention, which here, unlike in the arguments, changes without a restart."""
    kept = surroundings.retention or own_retention(metrics.retention)
    section: Object = {"time": kept.time}
    if kept.size:
        section["size"] = kept.size
    return section


def _scrape_configs(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> list[Object]:
    jobs = [_own_job(stack, metrics, surroundings)]
    jobs += build_exporter_jobs(stack, metrics, surroundings)
    wanted = usable_jobs(stack, metrics, surroundings)
    return [*jobs, *(build_scrape_job(job, stack.namespace) for job in wanted)]


def _own_job(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> Object:
    """Return the job by which Prometheus scrapes itself."""
    targets = [f"localhost:{names.PROMETHEUS_PORT}"]
    job: Object = {"job_name": names.PROMETHEUS_JOB, "static_configs": [{"targets": targets}]}
    if tls := web_tls(metrics):
        unusable = surroundings.missing | surroundings.no_certificates
        job |= self_scrape(stack, tls, unusable)
    return job


def _alertmanagers(stack: Stack, surroundings: Surroundings) -> list[Object]:
    """Return who is told of alerts: the operator and every pod of the stack's Alertmanager."""
    found = [_receiver(surroundings.receiver, surroundings.receiver_authority)]
    if stack.spec.alerting:
        found[0]["alert_relabel_configs"] = escalation_drop()
        host = f"{names.alertmanager_pods_name(stack.name)}.{stack.namespace}.svc"
        found.append(
            {
                "api_version": "v2",
                "scheme": "http",
                "timeout": "10s",
                "alert_relabel_configs": origin_relabeling(),
                **_discovery(f"{host}:{names.ALERTMANAGER_PORT}"),
            }
        )
    return found


def _receiver(address: str, authority: str | None) -> Object:
    """Return the operator's alert receiver as an Alertmanager: alerts arrive right after evaluation.

    What it is known by stands in the configuration itself: a certificate is public, and so nothing
    need be copied into the stack's namespace.
    """
    return {
        "api_version": "v2",
        "scheme": "http" if authority is None else "https",
        "timeout": "5s",
        **({} if authority is None else {"tls_config": _receiver_tls(address, authority)}),
        "authorization": {
            "type": "Bearer",
            "credentials_file": f"{names.TOKEN_DIRECTORY}/{names.TOKEN_KEY}",
        },
        **_discovery(address),
    }


def _receiver_tls(address: str, authority: str) -> Object:
    """Return how the receiver is checked: it is found by address, and known by its Service's name."""
    name = address.rpartition(":")[0].strip("[]")
    known = {"ca": authority} if authority else {}
    return {**known, "server_name": name, "min_version": "TLS12"}


def _discovery(address: str) -> Object:
    host, _, port = address.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return {
            "dns_sd_configs": [
                {"names": [host], "type": "A", "port": int(port), "refresh_interval": "5s"}
            ]
        }
    return {"static_configs": [{"targets": [address]}]}
