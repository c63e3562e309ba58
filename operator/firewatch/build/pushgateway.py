"""Pushgateway: its Service and StatefulSet."""

from firewatch.api.exporters import Pushgateway
from firewatch.api.resource import Object
from firewatch.build import names, versions
from firewatch.build.objects import Part, Stack, http_probe, service, volume_claim
from firewatch.build.pods import Program, pod_template

_REQUESTS = {"cpu": "10m", "memory": "32Mi"}
_DATA_DIRECTORY = "/pushgateway"


def build_pushgateway(stack: Stack, wanted: Pushgateway) -> list[Object]:
    """Return everything that Pushgateway is made of."""
    name = names.pushgateway_name(stack.name)
    part = Part(stack, name, names.PUSHGATEWAY, names.EXPORTERS)
    return [service(part, port=names.PUSHGATEWAY_PORT), _stateful_set(part, wanted)]


def _stateful_set(part: Part, wanted: Pushgateway) -> Object:
    spec: Object = {
        "replicas": 1,
        "serviceName": part.name,
        "podManagementPolicy": "Parallel",
        "updateStrategy": {"type": "RollingUpdate"},
        "persistentVolumeClaimRetentionPolicy": {"whenDeleted": "Retain", "whenScaled": "Retain"},
        "selector": {"matchLabels": part.selector()},
        "template": pod_template(part, wanted, _program(wanted)),
    }
    if wanted.storage:
        spec["volumeClaimTemplates"] = [volume_claim(part, wanted.storage)]
    return {"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": part.meta(), "spec": spec}


def _program(wanted: Pushgateway) -> Program:
    args = [f"--web.listen-address=:{names.PUSHGATEWAY_PORT}"]
    if wanted.storage:
        args.append(f"--persistence.file={_DATA_DIRECTORY}/metrics")
    return Program(
        name="pushgateway",
        image=versions.PUSHGATEWAY,
        args=args,
        requests=_REQUESTS,
        container={
            "ports": [{"name": "http", "containerPort": names.PUSHGATEWAY_PORT, "protocol": "TCP"}],
            "readinessProbe": http_probe("/-/ready", period=5, failures=3),
            "livenessProbe": http_probe("/-/healthy", period=10, failures=6),
            **(
                {"volumeMounts": [{"name": "data", "mountPath": _DATA_DIRECTORY}]}
                if wanted.storage
                else {}
            ),
        },
        writes_volume=wanted.storage is not None,
    )
