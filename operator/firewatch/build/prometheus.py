"""Prometheus: configuration, Services and StatefulSet of a stack."""

from firewatch.api.metrics import Metrics
from firewatch.api.resource import Object
from firewatch.build import names, versions
from firewatch.build.mounted_files import files_volume, find_files
from firewatch.build.objects import (
    Part,
    Stack,
    config_map,
    disruption_budget,
    http_probe,
    service,
)
from firewatch.build.own_rules import render_own_rules
from firewatch.build.pods import Program
from firewatch.build.scrape import render_prometheus_config
from firewatch.build.stateful_sets import build_stateful_set
from firewatch.build.surroundings import Surroundings
from firewatch.build.web import render_web_config, serves_https, web_tls
from firewatch.settings import PROMETHEUS_ROLE, RECEIVER_AUDIENCE

EXTERNAL_URL = "--web.external-url"
"""Flag of Prometheus that is only set where the user does not."""
_REQUESTS = {"cpu": "100m", "memory": "400Mi"}
_TOKEN_SECONDS = 3600
# Replaying a large write-ahead log takes minutes; killing the pod would only start it again.
_STARTUP_SECONDS = 1800


def _part(stack: Stack, name: str) -> Part:
    return Part(stack, name, names.PROMETHEUS, names.METRICS)


def build_prometheus(stack: Stack, metrics: Metrics, surroundings: Surroundings) -> list[Object]:
    """Return everything that Prometheus is made of, in the order in which it is applied."""
    files = {
        names.CONFIG_KEY: render_prometheus_config(stack, metrics, surroundings),
        **render_own_rules(stack, surroundings),
    }
    if tls := web_tls(metrics):
        files[names.WEB_CONFIG_KEY] = render_web_config(tls)
    port, https = names.PROMETHEUS_PORT, tls is not None
    pods = _part(stack, names.prometheus_pods_name(stack.name))
    part = _part(stack, names.prometheus_name(stack.name))
    return [
        config_map(_part(stack, names.prometheus_config_name(stack.name)), files),
        service(pods, port=port, headless=True, https=https),
        _service(part, sticky=metrics.replicas > 1, https=https),
        *([disruption_budget(part)] if metrics.replicas > 1 else []),
        _stateful_set(stack, metrics),
    ]


def _service(part: Part, *, sticky: bool, https: bool) -> Object:
    """Return the Service that people use.

    Of several servers a client stays with one: their samples differ by when each has scraped.
    """
    found = service(part, port=names.PROMETHEUS_PORT, https=https)
    if sticky:
        found["spec"]["sessionAffinity"] = "ClientIP"
    return found


def _stateful_set(stack: Stack, metrics: Metrics) -> Object:
    return build_stateful_set(
        _part(stack, names.prometheus_name(stack.name)),
        metrics,
        _program(stack, metrics),
        replicas=metrics.replicas,
        pods_name=names.prometheus_pods_name(stack.name),
        storage=metrics.storage,
    )


def _arguments(metrics: Metrics, *, https: bool) -> list[str]:
    found = [
        f"--config.file={names.CONFIG_DIRECTORY}/{names.CONFIG_KEY}",
        "--config.auto-reload",
        "--config.auto-reload-interval=1s",
        f"--storage.tsdb.path={names.DATA_DIRECTORY}",
        f"--web.listen-address=:{names.PROMETHEUS_PORT}",
    ]
    if https:
        found.append(f"{names.WEB_CONFIG_FLAG}={names.CONFIG_DIRECTORY}/{names.WEB_CONFIG_KEY}")
    is_given = any(each.startswith(EXTERNAL_URL) for each in metrics.extra_args)
    if metrics.ingress and not is_given:
        # By which links in alerts lead here.
        found.append(f"{EXTERNAL_URL}={metrics.ingress.url}")
    return found


def _serving(*, https: bool) -> Object:
    """Return the container's port and probes."""
    port = {"containerPort": names.PROMETHEUS_PORT, "protocol": "TCP"}
    return {
        "ports": [{"name": "https" if https else "http", **port}],
        "startupProbe": http_probe("/-/ready", period=1, failures=_STARTUP_SECONDS, https=https),
        "readinessProbe": http_probe("/-/ready", period=5, failures=3, https=https),
        "livenessProbe": http_probe("/-/healthy", period=10, failures=6, https=https),
    }


def _program(stack: Stack, metrics: Metrics) -> Program:
    https = serves_https(stack)
    return Program(
        name="prometheus",
        image=versions.PROMETHEUS,
        args=_arguments(metrics, https=https),
        requests=_REQUESTS,
        container={
            **_serving(https=https),
            "volumeMounts": [
                {"name": "config", "mountPath": names.CONFIG_DIRECTORY, "readOnly": True},
                {"name": "rules", "mountPath": names.RULES_DIRECTORY, "readOnly": True},
                {"name": "token", "mountPath": names.TOKEN_DIRECTORY, "readOnly": True},
                *_files_mount(metrics),
                {"name": "data", "mountPath": names.DATA_DIRECTORY},
            ],
        },
        pod={
            "serviceAccountName": PROMETHEUS_ROLE,
            "automountServiceAccountToken": True,
            "terminationGracePeriodSeconds": 300,
            "volumes": _volumes(stack, metrics),
        },
        writes_volume=True,
        spread=metrics.replicas > 1,
    )


def _files_mount(metrics: Metrics) -> list[Object]:
    mounts = []
    if files_volume(find_files(metrics)):
        mounts.append({"name": "files", "mountPath": names.FILES_DIRECTORY, "readOnly": True})
    if metrics.additional_scrape_configs:
        path = names.RAW_SCRAPES_DIRECTORY
        mounts.append({"name": "scrapes", "mountPath": path, "readOnly": True})
    return mounts


def _volumes(stack: Stack, metrics: Metrics) -> list[Object]:
    slots = [names.rules_name(stack.name, slot) for slot in range(names.SLOTS)]
    token = {
        "audience": RECEIVER_AUDIENCE,
        "expirationSeconds": _TOKEN_SECONDS,
        "path": names.TOKEN_KEY,
    }
    volumes: list[Object] = [
        {"name": "config", "configMap": {"name": names.prometheus_config_name(stack.name)}},
        {
            "name": "rules",
            "projected": {
                "sources": [{"configMap": {"name": name, "optional": True}} for name in slots]
            },
        },
        {"name": "token", "projected": {"sources": [{"serviceAccountToken": token}]}},
    ]
    if files := files_volume(find_files(metrics)):
        volumes.append(files)
    if metrics.additional_scrape_configs:
        source = {"secretName": names.raw_scrapes_name(stack.name), "optional": True}
        volumes.append({"name": "scrapes", "secret": source})
    if not metrics.storage:
        volumes.append({"name": "data", "emptyDir": {}})
    return volumes
