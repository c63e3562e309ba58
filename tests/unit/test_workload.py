"""The fields that every workload block has: what they may say, and what becomes of them."""

from typing import Any

import pytest
from pydantic import ValidationError

from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.api.workload import Workload
from firewatch.build.objects import Part, Stack
from firewatch.build.pods import Program, image_at, pod_template
from firewatch.reconcile.invalid import explain_invalid


class Block(Workload):
    """A block of a program."""

    own_flags = frozenset({"config.file"})
    own_env = frozenset({"HOME"})


def template(block: Object, stack: Object | None = None, **program: Any) -> Object:
    spec = MonitoringStackSpec.model_validate(stack or {})
    part = Part(Stack("shop", "main", "u", spec), "main-x", "x", "metrics")
    fields = {"name": "x", "image": "org/x:1", "args": ["--config.file=a"], "requests": {}}
    return pod_template(part, Block.model_validate(block), Program(**(fields | program)))


def container(block: Object, stack: Object | None = None, **program: Any) -> Object:
    found: Object = template(block, stack, **program)["spec"]["containers"][0]
    return found


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"extraArgs": ["--config.file=b"]}, "extraArgs: --config.file belongs to Firewatch"),
        ({"extraArgs": ["-config.file"]}, "extraArgs: --config.file belongs to Firewatch"),
        ({"extraArgs": ["--no-config.file"]}, "extraArgs: --no-config.file belongs to Firewatch"),
        ({"extraArgs": ["b"]}, "should match"),
        ({"extraArgs": ["@file"]}, "should match"),
        ({"extraEnv": [{"name": "HOME", "value": "/"}]}, "extraEnv: HOME belongs to Firewatch"),
        (
            {"podLabels": {"app.kubernetes.io/name": "y"}},
            "podLabels: app.kubernetes.io/name belongs to Firewatch",
        ),
        (
            {"podAnnotations": {"monitoring.freeagentics.io/rules-revision": "y"}},
            "podAnnotations: monitoring.freeagentics.io/rules-revision belongs to Firewatch",
        ),
    ],
)
def test_what_is_ours_cannot_be_set_and_is_named(block: Object, problem: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Block.model_validate(block)
    assert problem in explain_invalid(caught.value)


def test_what_a_block_adds_comes_after_what_is_ours() -> None:
    block: Object = {
        "extraArgs": ["--log.level=debug"],
        "extraEnv": [{"name": "A", "value": "1"}],
        "podLabels": {"team": "a"},
        "podAnnotations": {"note": "b"},
        "priorityClassName": "high",
    }
    found = template(block, env=[{"name": "HOME", "value": "/"}])
    (main,) = found["spec"]["containers"]
    assert main["args"] == ["--config.file=a", "--log.level=debug"]
    assert [entry["name"] for entry in main["env"]] == ["HOME", "A"]
    assert (
        found["metadata"]["labels"].items()
        >= {
            "team": "a",
            "app.kubernetes.io/name": "x",
        }.items()
    )
    assert found["metadata"]["annotations"] == {"note": "b"}
    assert found["spec"]["priorityClassName"] == "high"


def test_a_block_that_adds_nothing_leaves_nothing_behind() -> None:
    found = template({})
    assert found["metadata"].keys() == {"labels"}
    assert found["spec"].keys() == {
        *("automountServiceAccountToken", "securityContext", "nodeSelector", "containers"),
    }
    assert "env" not in found["spec"]["containers"][0]


@pytest.mark.parametrize(
    ("image", "there"),
    [
        ("prom/prometheus:v3", "registry.example:5000/a/prom/prometheus:v3"),
        ("busybox", "registry.example:5000/a/busybox"),
        ("quay.io/prometheus/x:v1", "registry.example:5000/a/prometheus/x:v1"),
        ("localhost/x:v1", "registry.example:5000/a/x:v1"),
        ("host:5000/x@sha256:0", "registry.example:5000/a/x@sha256:0"),
    ],
)
def test_one_registry_stands_in_for_all(image: str, there: str) -> None:
    assert image_at("registry.example:5000/a", image) == there
    assert image_at(None, image) == image


def test_an_image_that_the_block_names_is_taken_as_it_stands() -> None:
    stack = {"imageRegistry": "registry.example", "imagePullSecrets": [{"name": "login"}]}
    assert container({"image": "mine/x:2"}, stack)["image"] == "mine/x:2"
    assert container({}, stack)["image"] == "registry.example/org/x:1"
    assert template({}, stack)["spec"]["imagePullSecrets"] == [{"name": "login"}]


def test_pods_keep_apart_where_they_can_unless_the_block_says_otherwise() -> None:
    found = template({}, spread=True)["spec"]["affinity"]["podAntiAffinity"]
    ((term,),) = found.values()
    assert term["podAffinityTerm"]["labelSelector"]["matchLabels"] == {
        "app.kubernetes.io/name": "x",
        "monitoring.freeagentics.io/stack": "main",
    }
    assert template({"affinity": {}}, spread=True)["spec"].keys() & {"affinity"} == set()
    assert "affinity" not in template({})["spec"]
