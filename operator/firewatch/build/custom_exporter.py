"""Exporters of the user's own: each a Service and a Deployment."""

from firewatch.api.exporters import CustomExporter, EnvVar
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.deployments import build_deployment
from firewatch.build.objects import Part, Stack, service
from firewatch.build.pods import Program

_REQUESTS = {"cpu": "10m", "memory": "32Mi"}


def build_custom_exporter(stack: Stack, wanted: CustomExporter) -> list[Object]:
    """Return everything that an exporter is made of."""
    part = Part(
        stack,
        names.custom_exporter_name(stack.name, wanted.name),
        names.custom_exporter(wanted.name),
        names.EXPORTERS,
    )
    return [
        service(part, port=wanted.port),
        build_deployment(part, wanted, _program(wanted)),
    ]


def _program(wanted: CustomExporter) -> Program:
    # Its metrics may be dear to make, so only its port is looked at.
    probe: Object = {"tcpSocket": {"port": "http"}, "failureThreshold": 3, "timeoutSeconds": 3}
    return Program(
        name="exporter",
        image=wanted.image,
        args=wanted.args,
        requests=_REQUESTS,
        env=[_variable(each) for each in wanted.env],
        container={
            "ports": [{"name": "http", "containerPort": wanted.port, "protocol": "TCP"}],
            "readinessProbe": {**probe, "tcpSocket": {"port": "http"}, "periodSeconds": 5},
            "livenessProbe": {**probe, "tcpSocket": {"port": "http"}, "periodSeconds": 30},
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],  # noqa: S108 - the pod's own
        },
        pod={"volumes": [{"name": "tmp", "emptyDir": {}}]},
    )


def _variable(wanted: EnvVar) -> Object:
    if reference := wanted.secret_key_ref:
        source = {"secretKeyRef": {"name": reference.name, "key": reference.key}}
        return {"name": wanted.name, "valueFrom": source}
    return {"name": wanted.name, "value": wanted.value} if wanted.value else {"name": wanted.name}
