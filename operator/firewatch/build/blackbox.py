"""The blackbox exporter: its configuration, Service and Deployment."""

from collections.abc import Mapping

from firewatch.api.exporters import BlackboxExporter
from firewatch.api.resource import Object
from firewatch.build import names, versions
from firewatch.build.blackbox_config import SECRETS_DIRECTORY, render_blackbox_config, secret_keys
from firewatch.build.deployments import build_deployment
from firewatch.build.objects import (
    NOBODY,
    Part,
    Stack,
    config_map,
    http_probe,
    pod_security,
    service,
)
from firewatch.build.pods import Program

_REQUESTS = {"cpu": "10m", "memory": "32Mi"}
_CONFIG_DIRECTORY = "/etc/blackbox"
# Opens ICMP sockets to the pod's user without a capability; every Pod Security level allows it.
_PING = {"name": "net.ipv4.ping_group_range", "value": f"{NOBODY} {NOBODY}"}


def build_blackbox(stack: Stack, exporter: BlackboxExporter) -> list[Object]:
    """Return everything that the exporter is made of.

    The hash of its configuration stands in the pod template: a change rolls the pods, so that what
    is ready runs it, and with a configuration that does not start the old pod goes on.
    """
    name = names.blackbox_name(stack.name)
    part = Part(stack, name, names.BLACKBOX_EXPORTER, names.EXPORTERS)
    config = Part(stack, names.blackbox_config_name(stack.name), part.application, part.component)
    checks = stack.spec.synthetic.health_checks
    text = render_blackbox_config(exporter, checks)
    return [
        config_map(config, {names.BLACKBOX_KEY: text}),
        service(part, port=names.BLACKBOX_PORT),
        build_deployment(
            part,
            exporter,
            _program(config.name, secret_keys(exporter, checks)),
            annotations={names.CONFIG_ANNOTATION: names.short_hash(text, 16)},
        ),
    ]


def _program(config_name: str, keys: Mapping[str, set[str]]) -> Program:
    volumes: list[Object] = [{"name": "config", "configMap": {"name": config_name}}]
    mounts: list[Object] = [{"name": "config", "mountPath": _CONFIG_DIRECTORY, "readOnly": True}]
    if sources := _secret_sources(keys):
        volumes.append({"name": "secrets", "projected": {"sources": sources}})
        mounts.append({"name": "secrets", "mountPath": SECRETS_DIRECTORY, "readOnly": True})
    return Program(
        name="blackbox-exporter",
        image=versions.BLACKBOX_EXPORTER,
        args=[
            f"--config.file={_CONFIG_DIRECTORY}/{names.BLACKBOX_KEY}",
            f"--web.listen-address=:{names.BLACKBOX_PORT}",
        ],
        requests=_REQUESTS,
        container={
            "ports": [{"name": "http", "containerPort": names.BLACKBOX_PORT, "protocol": "TCP"}],
            "readinessProbe": http_probe("/-/healthy", period=5, failures=3),
            "livenessProbe": http_probe("/-/healthy", period=10, failures=6),
            "volumeMounts": mounts,
        },
        pod={"volumes": volumes, "securityContext": {**pod_security(), "sysctls": [{**_PING}]}},
    )


def _secret_sources(keys: Mapping[str, set[str]]) -> list[Object]:
    """Return the Secrets that the modules name, each key as the file ``<secret>/<key>``.

    They are optional: one that is missing fails the probes that need it, and no others.
    """
    return [
        {
            "secret": {
                "name": name,
                "items": [{"key": key, "path": f"{name}/{key}"} for key in sorted(keys[name])],
                "optional": True,
            }
        }
        for name in sorted(keys)
    ]
