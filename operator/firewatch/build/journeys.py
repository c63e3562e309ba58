"""The runner of user journeys: its configuration, Service and Deployment."""

import json
from collections.abc import Sequence

from firewatch.api.journeys import Journey
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.deployments import build_deployment
from firewatch.build.mounted_files import files_volume, find_files
from firewatch.build.objects import Part, Stack, config_map, http_probe, service
from firewatch.build.pods import Program
from firewatch.build.surroundings import Surroundings

_REQUESTS = {"cpu": "10m", "memory": "64Mi"}
_CONFIG_DIRECTORY = "/etc/journeys/config"
_FILES_DIRECTORY = "/etc/journeys/files"
_KEY = "journeys.json"
_FOR_RULES = {"slow_above", "down_for", "objective", "labels"}


def build_journeys(
    stack: Stack, journeys: Sequence[Journey], surroundings: Surroundings
) -> list[Object]:
    """Return everything that the runner is made of.

    The hash of the journeys stands in the pod template, so that what is ready takes these.
    """
    runner = stack.spec.synthetic.journey_runner
    part = Part(stack, names.journeys_name(stack.name), names.JOURNEYS, names.SYNTHETIC)
    text = render_journeys(journeys)
    # Not in the stack's own registry: it is where this very operator came from.
    image = surroundings.image_of(runner)
    wanted = runner.model_copy(update={"image": image})
    return [
        config_map(part, {_KEY: text}),
        service(part, port=names.JOURNEYS_PORT),
        build_deployment(
            part,
            wanted,
            _program(part, journeys, image),
            annotations={names.CONFIG_ANNOTATION: names.short_hash(text, 16)},
        ),
    ]


def render_journeys(journeys: Sequence[Journey]) -> str:
    """Return journeys as the runner reads them: in the form of the resource, by JSON.

    What is for the rules alone is left out: a new limit of an alert needs no new pod.
    """
    found = [
        each.model_dump(mode="json", by_alias=True, exclude_defaults=True, exclude=_FOR_RULES)
        for each in journeys
    ]
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def _program(part: Part, journeys: Sequence[Journey], image: str) -> Program:
    volumes: list[Object] = [{"name": "config", "configMap": {"name": part.name}}]
    mounts: list[Object] = [{"name": "config", "mountPath": _CONFIG_DIRECTORY, "readOnly": True}]
    if files := files_volume(find_files([*journeys])):
        volumes.append(files)
        mounts.append({"name": "files", "mountPath": _FILES_DIRECTORY, "readOnly": True})
    return Program(
        name="journeys",
        image=image,
        args=[
            f"--config={_CONFIG_DIRECTORY}/{_KEY}",
            f"--files={_FILES_DIRECTORY}",
            f"--port={names.JOURNEYS_PORT}",
        ],
        requests=_REQUESTS,
        container={
            "command": ["python", "-m", "firewatch.journeys"],
            "ports": [{"name": "http", "containerPort": names.JOURNEYS_PORT, "protocol": "TCP"}],
            "readinessProbe": http_probe("/healthz", period=5, failures=3),
            "livenessProbe": http_probe("/healthz", period=10, failures=6),
            "volumeMounts": mounts,
        },
        pod={"volumes": volumes},
    )
