"""Firewatch on a cluster: image built on this machine, installed by its chart."""

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from e2e.cluster.backend import choose
from e2e.cluster.docker import docker
from e2e.cluster.images import (
    NODE_EXPORTER_IMAGE,
    PROMETHEUS_IMAGE,
    component_image,
    image_archive,
)
from e2e.cluster.interface import Backend, Cluster, ClusterError, Progress
from e2e.debian_images import CHROMIUM, POSTGRES, DebianImage
from e2e.images import PROJECT, example_app_image, operator_image
from e2e.kubectl import Kubectl, Object
from firewatch.build import versions

NAMESPACE = "firewatch"
RELEASE = "firewatch"
CHART = PROJECT / "charts" / "firewatch"
_PUBLISHED_POSTGRES = "postgres:17"
_PUBLISHED_CHROMIUM = "selenium/standalone-chromium:4.27.0"


@dataclass(frozen=True)
class Images:
    """Images that are on the cluster's nodes."""

    operator: str
    example_app: str
    prometheus: str
    node_exporter: str


@dataclass(frozen=True)
class Testbed:
    """A running cluster with every image that Firewatch and the examples need."""

    __test__ = False
    """Not a class of tests, whatever pytest makes of its name."""

    backend: Backend
    cluster: Cluster
    images: Images
    helm: Path | None = None
    """Another Helm than the cluster's own, which is Helm 3."""

    @property
    def kubectl(self) -> Kubectl:
        """Return kubectl for this cluster."""
        return Kubectl(self.cluster)

    def image(self, component: str, progress: Progress) -> str:
        """Return a further component's image, built and put on the nodes if it is not there.

        A variable such as FIREWATCH_KUBE_STATE_METRICS_IMAGE names one in a registry instead.
        """
        variable = component.upper().replace("-", "_")
        if named := os.environ.get(f"FIREWATCH_{variable}_IMAGE"):
            return named
        if self.cluster.pulls:
            return _published(component)
        name = component_image(component)
        archive = image_archive(name, progress)
        with progress.step(f"Loading the image of {component}"):
            self.backend.load_image(archive)
        return name

    def postgres(self, progress: Progress) -> str:
        """Return the image of a PostgreSQL server, likewise; it has the programs on its path."""
        return self._debian(POSTGRES, _PUBLISHED_POSTGRES, progress)

    def chromium(self, progress: Progress) -> str:
        """Return the image of a browser, its driver and Python, likewise."""
        return self._debian(CHROMIUM, _PUBLISHED_CHROMIUM, progress)

    def _debian(self, image: DebianImage, published: str, progress: Progress) -> str:
        if named := os.environ.get(f"FIREWATCH_{image.name.upper()}_IMAGE"):
            return named
        if self.cluster.pulls:
            return published
        archive = image.archive(progress)
        with progress.step(f"Loading the image of {image.name}"):
            self.backend.load_image(archive)
        return image.reference


def bring_up(progress: Progress) -> Testbed:
    """Bring the cluster up and put the images on its nodes, unless they are named already."""
    backend = choose()
    cluster = backend.up(progress)
    if named := _named_images(os.environ):
        return Testbed(backend, cluster, named)
    # Where nodes get published images, so does the build.
    by_docker = cluster.pulls and docker().answers()
    operator = operator_image(progress, by_docker=by_docker)
    app = example_app_image(progress, by_docker=by_docker)
    with progress.step("Loading Firewatch's images"):
        for image in (operator, app):
            backend.load_image(image.archive)
    if cluster.pulls:
        components = (versions.PROMETHEUS, versions.NODE_EXPORTER)
    else:
        components = (PROMETHEUS_IMAGE, NODE_EXPORTER_IMAGE)
    return Testbed(backend, cluster, Images(operator.name, app.name, *components))


def _published(component: str) -> str:
    """Return the image that a resource has where it names none."""
    name = component.upper().replace("-", "_")
    found: str | None = getattr(versions, name, None)
    if found is None:
        raise ClusterError(
            f"No published image of {component} is known: set FIREWATCH_{name}_IMAGE."
        )
    return found


def _named_images(environment: Mapping[str, str]) -> Images | None:
    """Return images in a registry, for a cluster of the user's own, to which none can be copied.

    The variables are FIREWATCH_OPERATOR_IMAGE and FIREWATCH_EXAMPLE_APP_IMAGE; the other two have
    defaults.
    """

    def named(name: str, default: str = "") -> str:
        return environment.get(f"FIREWATCH_{name}_IMAGE", default)

    operator, app = named("OPERATOR"), named("EXAMPLE_APP")
    if not operator or not app:
        return None
    prometheus = named("PROMETHEUS", versions.PROMETHEUS)
    return Images(operator, app, prometheus, named("NODE_EXPORTER", versions.NODE_EXPORTER))


@dataclass(frozen=True)
class Values:
    """What an installation differs in."""

    stacks: Sequence[str]
    targets: Sequence[str]
    more: dict[str, Any] = field(default_factory=dict)
    target_options: dict[str, Any] = field(default_factory=dict)
    """What else is said of targets, as whether they may be restarted."""
    rails: dict[str, Any] = field(default_factory=dict)
    """Further limits."""


_RAILS = {"actionsPerHour": {"namespace": 10_000, "cluster": 100_000}}
"""Tests and measurements do in an hour what nobody else does. Older charts have no such values."""


def install(testbed: Testbed, values: Values, progress: Progress, *, chart: Path = CHART) -> None:
    """Install or upgrade Firewatch by its chart and wait until it is ready."""
    repository, _, tag = testbed.images.operator.rpartition(":")
    content = {
        "image": {"repository": repository, "tag": tag},
        "stacks": {"namespaces": list(values.stacks)},
        "targets": {"namespaces": list(values.targets), **values.target_options},
        **({"rails": {**_RAILS, **values.rails}} if chart == CHART else {}),
        **values.more,
    }
    with progress.step("Installing Firewatch by its Helm chart"):
        for name in {*values.stacks, *values.targets}:
            testbed.kubectl.apply(namespace(name))
        helm(
            testbed,
            *("upgrade", "--install", RELEASE, str(chart), "--namespace", NAMESPACE),
            *("--create-namespace", "--wait", "--timeout", "120s", "--values", "-"),
            # CRDs that were applied from crds/ come under the release.
            "--take-ownership",
            stdin=json.dumps(content),
        )


def namespace(name: str) -> Object:
    """Return a namespace in which a node exporter may run."""
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def uninstall(testbed: Testbed) -> None:
    """Remove Firewatch; its CRDs stay."""
    helm(testbed, "uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--ignore-not-found")


def helm(testbed: Testbed, *arguments: str, stdin: str = "") -> str:
    """Run helm against the cluster; return what it prints."""
    command = [str(testbed.helm or testbed.cluster.tools / "helm"), *arguments]
    done = subprocess.run(
        command,
        input=stdin,
        capture_output=True,
        text=True,
        env=testbed.kubectl.environment,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"helm {arguments[0]} failed: {done.stderr.strip()}")
    return done.stdout
