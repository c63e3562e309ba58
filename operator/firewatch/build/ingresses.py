"""Ingresses and HTTPRoutes: under which names a stack is reached from outside of the cluster."""

from collections.abc import Iterator

from firewatch.api.ingress import Gateway, Ingress
from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Part, Stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.usable import usable_real_users
from firewatch.build.web import serves_https


def build_ingresses(stack: Stack, surroundings: Surroundings) -> Iterator[Object]:
    """Yield an Ingress or HTTPRoute for all that people are to reach."""
    spec, name = stack.spec, stack.name
    pages: tuple[tuple[Ingress | None, str, str, int], ...] = (
        (
            spec.metrics.ingress if spec.metrics else None,
            names.prometheus_name(name),
            names.PROMETHEUS,
            names.PROMETHEUS_PORT,
        ),
        (
            spec.alerting.ingress if spec.alerting else None,
            names.alertmanager_name(name),
            names.ALERTMANAGER,
            names.ALERTMANAGER_PORT,
        ),
        (
            spec.visualization.ingress if spec.visualization else None,
            names.grafana_name(name),
            names.GRAFANA,
            names.GRAFANA_PORT,
        ),
        (_of_browsers(stack, surroundings), names.rum_name(name), names.RUM, names.RUM_PORT),
    )
    for wanted, service, application, port in pages:
        if wanted:
            part = Part(stack, service, application, names.NETWORK)
            https = application == names.PROMETHEUS and serves_https(stack)
            yield _build(part, wanted, port, https=https)


def _of_browsers(stack: Stack, surroundings: Surroundings) -> Ingress | None:
    users = usable_real_users(stack, surroundings)
    return users.ingress if users else None


def _build(part: Part, wanted: Ingress, port: int, *, https: bool = False) -> Object:
    metadata = part.meta()
    if wanted.annotations:
        metadata["annotations"] = {**wanted.annotations}
    if wanted.gateway:
        return {
            "apiVersion": "gateway.networking.k8s.io/v1",
            "kind": "HTTPRoute",
            "metadata": metadata,
            "spec": {
                "parentRefs": [_parent(wanted.gateway)],
                "hostnames": [wanted.host],
                "rules": [{"backendRefs": [{"name": part.name, "port": port}]}],
            },
        }
    backend = {"service": {"name": part.name, "port": {"name": "https" if https else "http"}}}
    path = {"path": "/", "pathType": "Prefix", "backend": backend}
    spec: Object = {"rules": [{"host": wanted.host, "http": {"paths": [path]}}]}
    if wanted.class_name:
        spec["ingressClassName"] = wanted.class_name
    if wanted.tls_secret_name:
        spec["tls"] = [{"hosts": [wanted.host], "secretName": wanted.tls_secret_name}]
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": metadata,
        "spec": spec,
    }


def _parent(gateway: Gateway) -> Object:
    found = {
        "name": gateway.name,
        "namespace": gateway.namespace,
        "sectionName": gateway.section_name,
    }
    return {name: value for name, value in found.items() if value}
