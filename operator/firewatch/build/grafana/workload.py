"""Grafana's Services and StatefulSet.

A StatefulSet, since its pod ends before the next one starts: a volume that one node can mount at a
time would keep a Deployment's new pod waiting for ever.
"""

from collections.abc import Sequence
from copy import deepcopy

from firewatch.api.resource import Object
from firewatch.api.visualization import Visualization
from firewatch.build import names, versions
from firewatch.build.grafana import files
from firewatch.build.grafana.settings import build_settings
from firewatch.build.grafana.slots import slot_directory
from firewatch.build.mounted_files import file_source
from firewatch.build.objects import (
    Part,
    Stack,
    container_security,
    disruption_budget,
    http_probe,
    resources,
    service,
)
from firewatch.build.pods import Program, image_at
from firewatch.build.stateful_sets import build_stateful_set
from firewatch.build.surroundings import Surroundings

_REQUESTS = {"cpu": "100m", "memory": "256Mi"}
_SLOTS = range(names.DASHBOARD_SLOTS)
_DATA_DIRECTORY = "/var/lib/grafana"
_RESET_COMMAND = (
    'exec grafana cli --homepath "$GF_PATHS_HOME" admin reset-admin-password'
    ' --password-from-stdin <"$0"'
)
"""Grafana takes its password from the settings at its first start only."""


def build_grafana(stack: Stack, wanted: Visualization, around: Surroundings) -> list[Object]:
    """Return everything that Grafana is made of but its Secrets, in the order of applying."""
    port = names.GRAFANA_PORT
    part = _part(stack, names.grafana_name(stack.name))
    return [
        service(_part(stack, names.grafana_pods_name(stack.name)), port=port, headless=True),
        service(part, port=port),
        *([disruption_budget(part)] if wanted.replicas > 1 else []),
        _stateful_set(part, wanted, around),
    ]


def _part(stack: Stack, name: str) -> Part:
    return Part(stack, name, names.GRAFANA, names.VISUALIZATION)


def _stateful_set(part: Part, wanted: Visualization, around: Surroundings) -> Object:
    stack = part.stack
    read = settings_revision(stack, wanted, around)
    return build_stateful_set(
        part,
        wanted,
        _program(part, wanted),
        replicas=wanted.replicas,
        pods_name=names.grafana_pods_name(stack.name),
        storage=wanted.storage,
        annotations={names.SECRETS_ANNOTATION: read},
    )


def settings_revision(stack: Stack, wanted: Visualization, around: Surroundings) -> str:
    """Return a hash of the versions of what Grafana reads when it starts."""
    refs = files.settings_files(stack.name, wanted)
    versions_read = [f"{name}={around.versions.get(ref, '')}" for name, ref in refs.items()]
    return names.short_hash(",".join(sorted(versions_read)), 16)


def _program(part: Part, wanted: Visualization) -> Program:
    env = _environment(wanted)
    return Program(
        name="grafana",
        image=versions.GRAFANA,
        args=[],
        requests=_REQUESTS,
        env=env,
        container={
            "ports": [{"name": "http", "containerPort": names.GRAFANA_PORT, "protocol": "TCP"}],
            # The first start makes the tables of the database.
            "startupProbe": http_probe("/api/health", period=2, failures=150),
            "readinessProbe": http_probe("/api/health", period=5, failures=3),
            "livenessProbe": http_probe("/api/health", period=10, failures=6),
            "volumeMounts": [
                *_mounts(),
                _file_mount("data-sources", names.GRAFANA_SOURCES_DIRECTORY),
                _file_mount("providers", names.PROVIDERS_DIRECTORY),
                *(_file_mount(_slot(n), slot_directory(n)) for n in _SLOTS),
            ],
        },
        pod={
            "initContainers": [_password_setter(part, wanted, env)],
            "volumes": _volumes(part.stack, wanted),
        },
        writes_volume=True,
        spread=wanted.replicas > 1,
    )


def _environment(wanted: Visualization) -> list[Object]:
    """Return the settings; what the user sets by ``extraEnv`` takes the place of ours."""
    given = {each.get("name") for each in wanted.extra_env}
    settings = build_settings(wanted)
    return [{"name": k, "value": v} for k, v in settings.items() if k not in given]


def _password_setter(part: Part, wanted: Visualization, env: Sequence[Object]) -> Object:
    """Return the container that sets the administrator's password before each start."""
    return {
        "name": "set-password",
        "image": wanted.image or image_at(part.stack.spec.image_registry, versions.GRAFANA),
        "command": ["sh", "-c", _RESET_COMMAND, files.file_path(files.ADMIN_PASSWORD)],
        "env": deepcopy([*env, *wanted.extra_env]),
        "resources": resources(wanted.resources, default=_REQUESTS),
        "securityContext": container_security(),
        "volumeMounts": _mounts(),
    }


def _mounts() -> list[Object]:
    return [
        {"name": "data", "mountPath": _DATA_DIRECTORY},
        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - a volume of the pod's own
        _file_mount("files", names.GRAFANA_FILES_DIRECTORY),
    ]


def _file_mount(name: str, path: str) -> Object:
    return {"name": name, "mountPath": path, "readOnly": True}


def _slot(number: int) -> str:
    """Return the name of the volume of a slot of dashboards."""
    return f"dashboards-{number}"


def _optional(name: str, config_map: str) -> Object:
    """Return the volume of a ConfigMap that need not be there when the pod starts."""
    return {"name": name, "configMap": {"name": config_map, "optional": True}}


def _volumes(stack: Stack, wanted: Visualization) -> list[Object]:
    read = files.settings_files(stack.name, wanted)
    sources = [file_source(ref, name) for name, ref in read.items()]
    volumes: list[Object] = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "files", "projected": {"sources": sources}},
        {"name": "data-sources", "secret": {"secretName": names.grafana_sources_name(stack.name)}},
    ]
    volumes.append(_optional("providers", names.dashboards_name(stack.name)))
    volumes += (_optional(_slot(n), names.dashboard_slot_name(stack.name, n)) for n in _SLOTS)
    if not wanted.storage:
        volumes.append({"name": "data", "emptyDir": {}})
    return volumes
