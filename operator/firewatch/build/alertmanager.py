"""Alertmanager: Services, StatefulSet, and the Secret with its configuration."""

from firewatch.api.alerting import Alerting
from firewatch.api.resource import Object, parse_duration
from firewatch.build import names, versions
from firewatch.build.alertmanager_config import Notifications
from firewatch.build.objects import Part, Stack, disruption_budget, http_probe, secret, service
from firewatch.build.pods import Program
from firewatch.build.stateful_sets import build_stateful_set

_REQUESTS = {"cpu": "10m", "memory": "64Mi"}
MESH_PORT = 9094


def _part(stack: Stack, name: str) -> Part:
    return Part(stack, name, names.ALERTMANAGER, names.ALERTING)


def build_alertmanager(stack: Stack, alerting: Alerting) -> list[Object]:
    """Return everything that Alertmanager is made of but the Secret, in the order of applying."""
    port = names.ALERTMANAGER_PORT
    part = _part(stack, names.alertmanager_name(stack.name))
    return [
        service(_part(stack, names.alertmanager_pods_name(stack.name)), port=port, headless=True),
        service(part, port=port),
        *([disruption_budget(part)] if alerting.replicas > 1 else []),
        _stateful_set(stack, alerting),
    ]


def build_config_secret(stack: Stack, notifications: Notifications) -> Object:
    """Return the Secret with the configuration, the templates and the copied credentials."""
    part = _part(stack, names.alertmanager_config_name(stack.name))
    files = {names.ALERTMANAGER_CONFIG_KEY: notifications.config.encode(), **notifications.files}
    return secret(part, files)


def _stateful_set(stack: Stack, alerting: Alerting) -> Object:
    return build_stateful_set(
        _part(stack, names.alertmanager_name(stack.name)),
        alerting,
        _program(stack, alerting),
        replicas=alerting.replicas,
        pods_name=names.alertmanager_pods_name(stack.name),
        storage=alerting.storage,
    )


def _program(stack: Stack, alerting: Alerting) -> Program:
    return Program(
        name="alertmanager",
        image=versions.ALERTMANAGER,
        args=_arguments(stack, alerting),
        requests=_REQUESTS,
        env=_environment() if alerting.replicas > 1 else (),
        container={
            "ports": _ports(alerting),
            "startupProbe": http_probe("/-/ready", period=1, failures=60),
            "readinessProbe": http_probe("/-/ready", period=5, failures=3),
            "livenessProbe": http_probe("/-/healthy", period=10, failures=6),
            "volumeMounts": [
                {
                    "name": "config",
                    "mountPath": names.ALERTMANAGER_CONFIG_DIRECTORY,
                    "readOnly": True,
                },
                {"name": "data", "mountPath": names.ALERTMANAGER_DATA_DIRECTORY},
            ],
        },
        pod={
            "terminationGracePeriodSeconds": 120,
            "volumes": _volumes(stack, alerting),
        },
        writes_volume=True,
        spread=alerting.replicas > 1,
    )


def _arguments(stack: Stack, alerting: Alerting) -> list[str]:
    seconds = int(parse_duration(alerting.retention)) or 1
    arguments = [
        f"--config.file={names.ALERTMANAGER_CONFIG_DIRECTORY}/{names.ALERTMANAGER_CONFIG_KEY}",
        f"--storage.path={names.ALERTMANAGER_DATA_DIRECTORY}",
        f"--data.retention={seconds}s",
        f"--web.listen-address=:{names.ALERTMANAGER_PORT}",
        "--enable-feature=receiver-name-in-metrics",
    ]
    if alerting.ingress:
        # By which links in messages lead here.
        arguments.append(f"--web.external-url={alerting.ingress.url}")
    if alerting.replicas == 1:
        return [*arguments, "--cluster.listen-address="]
    peers = f"{names.alertmanager_pods_name(stack.name)}.{stack.namespace}.svc"
    return [
        *arguments,
        f"--cluster.listen-address=$(POD_IP):{MESH_PORT}",
        "--cluster.peer-name=$(POD_NAME)",
        # One name for all pods, so that another number of them leaves the arguments as they are.
        f"--cluster.peer={peers}:{MESH_PORT}",
        f"--cluster.label={stack.namespace}/{stack.name}",
        "--cluster.reconnect-timeout=5m",
    ]


def _environment() -> list[Object]:
    fields = {"POD_IP": "status.podIP", "POD_NAME": "metadata.name"}
    return [
        {"name": name, "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": path}}}
        for name, path in fields.items()
    ]


def _ports(alerting: Alerting) -> list[Object]:
    ports: list[Object] = [
        {"name": "http", "containerPort": names.ALERTMANAGER_PORT, "protocol": "TCP"}
    ]
    if alerting.replicas > 1:
        ports += [
            {"name": "mesh-tcp", "containerPort": MESH_PORT, "protocol": "TCP"},
            {"name": "mesh-udp", "containerPort": MESH_PORT, "protocol": "UDP"},
        ]
    return ports


def _volumes(stack: Stack, alerting: Alerting) -> list[Object]:
    volumes: list[Object] = [
        {
            "name": "config",
            "secret": {"secretName": names.alertmanager_config_name(stack.name)},
        }
    ]
    if not alerting.storage:
        volumes.append({"name": "data", "emptyDir": {}})
    return volumes
