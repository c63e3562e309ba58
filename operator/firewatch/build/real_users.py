"""Real user monitoring: its configuration, Service and Deployment."""

import json

from firewatch.api.real_users import RealUserMonitoring
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.deployments import build_deployment
from firewatch.build.mounted_files import file_source
from firewatch.build.objects import Part, Stack, config_map, disruption_budget, http_probe, service
from firewatch.build.pods import Program
from firewatch.build.surroundings import Surroundings

_REQUESTS = {"cpu": "10m", "memory": "64Mi"}
_CONFIG_DIRECTORY, _KEY_DIRECTORY = "/etc/rum/config", "/etc/rum/key"
_CONFIG, _KEY = "rum.json", "api-key"
_READ = (
    *("api_key", "origins", "service_names", "environments"),
    *("pages", "events", "limits", "behind_proxy"),
)


def build_real_users(
    stack: Stack, wanted: RealUserMonitoring, surroundings: Surroundings
) -> list[Object]:
    """Return everything that it is made of.

    The hash of its configuration stands in the pod template, so that what is ready goes by it.
    """
    part = Part(stack, names.rum_name(stack.name), names.RUM, names.REAL_USERS)
    if wanted.ingress:
        wanted = wanted.model_copy(update={"behind_proxy": True})
    text = render_real_users(wanted)
    image = surroundings.image_of(wanted)
    workload = build_deployment(
        part,
        wanted.model_copy(update={"image": image}),
        _program(part, wanted, image),
        annotations={names.CONFIG_ANNOTATION: names.short_hash(text, 16)},
    )
    workload["spec"]["replicas"] = wanted.replicas
    budget = [disruption_budget(part)] if wanted.replicas > 1 else []
    return [
        config_map(part, {_CONFIG: text}),
        service(part, port=names.RUM_PORT),
        *budget,
        workload,
    ]


def render_real_users(wanted: RealUserMonitoring) -> str:
    """Return what is taken in, as the program reads it: in the form of the resource, by JSON."""
    found = wanted.model_dump(mode="json", by_alias=True, exclude_defaults=True, include={*_READ})
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _program(part: Part, wanted: RealUserMonitoring, image: str) -> Program:
    mounted = {"config": _CONFIG_DIRECTORY, "key": _KEY_DIRECTORY}
    return Program(
        name=names.RUM,
        image=image,
        args=[
            f"--config={_CONFIG_DIRECTORY}/{_CONFIG}",
            f"--key={_KEY_DIRECTORY}/{_KEY}",
            f"--port={names.RUM_PORT}",
            f"--metrics-port={names.RUM_METRICS_PORT}",
        ],
        requests=_REQUESTS,
        container={
            "command": ["python", "-m", "firewatch.rum"],
            "ports": [
                {"name": "http", "containerPort": names.RUM_PORT, "protocol": "TCP"},
                {"name": "metrics", "containerPort": names.RUM_METRICS_PORT, "protocol": "TCP"},
            ],
            "readinessProbe": _probe(period=5, failures=3),
            "livenessProbe": _probe(period=10, failures=6),
            "volumeMounts": [
                {"name": name, "mountPath": path, "readOnly": True}
                for name, path in mounted.items()
            ],
        },
        pod={
            "volumes": [
                {"name": "config", "configMap": {"name": part.name}},
                {"name": "key", "projected": {"sources": [file_source(wanted.api_key, _KEY)]}},
            ]
        },
        spread=True,
    )


def _probe(*, period: int, failures: int) -> Object:
    probe = http_probe("/healthz", period=period, failures=failures)
    probe["httpGet"]["port"] = "metrics"
    return probe
