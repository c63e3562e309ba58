"""kube-state-metrics: its Service and Deployment."""

from firewatch.api.exporters import Collector, KubeStateMetrics
from firewatch.api.resource import Object
from firewatch.build import names, versions
from firewatch.build.deployments import build_deployment
from firewatch.build.objects import Part, Stack, http_probe, service
from firewatch.build.pods import Program
from firewatch.settings import KUBE_STATE_METRICS_ROLE

_REQUESTS = {"cpu": "10m", "memory": "128Mi"}
_OWN_PORT = 8081


def build_kube_state_metrics(stack: Stack, wanted: KubeStateMetrics) -> list[Object]:
    """Return everything that kube-state-metrics is made of but its ServiceAccount."""
    name = names.kube_state_metrics_name(stack.name)
    part = Part(stack, name, names.KUBE_STATE_METRICS, names.EXPORTERS)
    return [
        service(part, port=names.KUBE_STATE_METRICS_PORT),
        build_deployment(part, wanted, _program(wanted)),
    ]


def _program(wanted: KubeStateMetrics) -> Program:
    # Ready once it can answer; alive as long as its connection to the API server is.
    ready = http_probe("/readyz", period=5, failures=3)
    ready["httpGet"]["port"] = "own"
    return Program(
        name="kube-state-metrics",
        image=versions.KUBE_STATE_METRICS,
        args=_arguments(wanted),
        requests=_REQUESTS,
        container={
            "ports": [
                {
                    "name": "http",
                    "containerPort": names.KUBE_STATE_METRICS_PORT,
                    "protocol": "TCP",
                },
                {"name": "own", "containerPort": _OWN_PORT, "protocol": "TCP"},
            ],
            "readinessProbe": ready,
            "livenessProbe": http_probe("/livez", period=10, failures=6),
        },
        pod={
            "serviceAccountName": KUBE_STATE_METRICS_ROLE,
            "automountServiceAccountToken": True,
        },
    )


def _arguments(wanted: KubeStateMetrics) -> list[str]:
    # Named one by one, since its own default includes Secrets and ConfigMaps.
    collectors = sorted({*(wanted.collectors or Collector)})
    found = [
        f"--port={names.KUBE_STATE_METRICS_PORT}",
        f"--telemetry-port={_OWN_PORT}",
        f"--resources={','.join(collectors)}",
    ]
    if wanted.namespaces:
        found.append(f"--namespaces={','.join(sorted({*wanted.namespaces}))}")
    return found
