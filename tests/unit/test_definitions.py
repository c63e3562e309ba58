"""Installed definitions compared with the models."""

from copy import deepcopy
from typing import Any

import pytest

from firewatch.api.alerts import ALERT_POLICY
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import CustomKind, Object
from firewatch.cluster.client import Cluster
from firewatch.cluster.definitions import Difference, compare, gather_definitions
from firewatch.cluster.errors import NotFoundError, UnreachableError
from firewatch.generate import build_crd

KINDS = pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=lambda custom: custom.kind)


class Installed:
    """A cluster with definitions, or with what is raised instead of one."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {c.definition: build_crd(c) for c in CUSTOM_KINDS}

    async def get(self, _kind: Any, _namespace: str, name: str) -> Object:
        if isinstance(found := self.found[name], Exception):
            raise found
        return found  # type: ignore[no-any-return]


def part_of(crd: Object, part: str = "spec") -> Object:
    (version,) = crd["spec"]["versions"]
    found: Object = version["schema"]["openAPIV3Schema"]["properties"][part]
    return found


async def said(cluster: Any) -> str:
    found: Cluster = cluster
    return (await gather_definitions(found)).problem


@KINDS
def test_our_own_definitions_have_exactly_the_fields_of_the_models(custom: CustomKind) -> None:
    assert compare(custom, build_crd(custom)) == Difference()


@KINDS
def test_every_field_that_is_missing_is_noticed(custom: CustomKind) -> None:
    crd = build_crd(custom)
    for part in ("spec", "status"):
        for name in [*part_of(crd, part)["properties"]]:
            older = deepcopy(crd)
            del part_of(older, part)["properties"][name]
            assert compare(custom, older) == Difference(missing=(f"{part}.{name}",))


def test_a_field_deep_inside_is_named() -> None:
    crd = build_crd(ALERT_POLICY)
    groups = part_of(crd)["properties"]["groups"]["items"]["properties"]
    rule = groups["rules"]["items"]["properties"]
    rule["added"] = {"type": "string"}
    del rule["for"]
    assert compare(ALERT_POLICY, crd) == Difference(
        missing=("spec.groups.rules.for",), unknown=("spec.groups.rules.added",)
    )


def test_a_version_that_is_not_served_is_named() -> None:
    crd = build_crd(ALERT_POLICY)
    crd["spec"]["versions"][0]["served"] = False
    assert compare(ALERT_POLICY, crd).missing == ("the version v1alpha1",)


async def test_everything_that_is_wrong_is_said_at_once() -> None:
    cluster = Installed()
    assert await said(cluster) == ""
    policies, responses, stacks, _ = sorted(cluster.found)
    cluster.found[policies] = NotFoundError("gone")
    properties = part_of(cluster.found[stacks])["properties"]
    gone = sorted(properties)
    properties.clear()
    assert await said(cluster) == (
        f"{stacks} is older than this operator: it lacks "
        + ", ".join(f"spec.{name}" for name in gone[:5])
        + f" and {len(gone) - 5} more; {policies} is not installed: apply the "
        "CustomResourceDefinitions that belong to this operator: `kubectl apply -f crds/`, or `helm "
        "upgrade` with its chart"
    )
    cluster.found[responses] = UnreachableError("the API server does not answer")
    assert "cannot be read: the API server does not answer" in await said(cluster)


async def test_a_newer_definition_is_a_warning() -> None:
    cluster: Any = Installed()
    stacks = next(name for name in cluster.found if name.startswith("monitoringstacks"))
    part_of(cluster.found[stacks])["properties"]["logging"] = {"type": "object"}
    findings = await gather_definitions(cluster)
    assert findings.problem == ""
    (warning,) = findings.warnings
    assert warning == (
        f"{stacks} is newer than this operator, which does not know spec.logging: a resource that "
        "uses it is refused, and what runs is left as it is"
    )
