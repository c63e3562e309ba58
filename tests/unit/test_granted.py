"""Rights that are granted beside those that the audit log shows."""

import json
from pathlib import Path
from typing import Any

import pytest

from e2e import rights
from e2e.rights import Right, granted_rights, judge, render, used_rights, write_report
from firewatch.api.resource import Object

OPERATOR = "system:serviceaccount:firewatch:firewatch"


def role(kind: str, name: str, *rules: Object, namespace: str = "") -> Object:
    return {"kind": kind, "metadata": {"name": name, "namespace": namespace}, "rules": [*rules]}


def binding(kind: str, name: str, account: str, namespace: str = "") -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace},
        "roleRef": {"kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": "firewatch"}],
    }


def rule(verbs: list[str], resource: str, group: str = "", **more: Any) -> Object:
    return {"apiGroups": [group], "resources": [resource], "verbs": verbs, **more}


def event(verb: str, path: str, *, code: int = 200, user: str = OPERATOR, **more: Any) -> Object:
    group, resource, subresource, name = path.split(":")
    reference = {"resource": resource, "name": name}
    reference |= {"apiGroup": group} if group else {}
    reference |= {"subresource": subresource} if subresource else {}
    return {
        "user": {"username": user},
        "verb": verb,
        "objectRef": reference,
        "responseStatus": {"code": code},
        "annotations": {"authorization.k8s.io/decision": "allow"},
        **more,
    }


def test_what_is_granted_is_read_from_bindings_of_our_accounts_only() -> None:
    roles = [
        role("ClusterRole", "wide", rule(["get", "list"], "pods")),
        role("ClusterRole", "free", rule(["get"], "secrets")),
        role("Role", "own", rule(["patch"], "deployments/scale", "apps"), namespace="a"),
        role("Role", "own", rule(["delete"], "secrets"), namespace="b"),
        role("ClusterRole", "named", rule(["get"], "crds", "x", resourceNames=["p", "q"])),
    ]
    bindings = [
        binding("ClusterRole", "wide", "firewatch"),
        binding("ClusterRole", "free", "somebody"),
        binding("Role", "own", "firewatch", namespace="a"),
        binding("ClusterRole", "named", "firewatch-prometheus"),
        binding("ClusterRole", "gone", "firewatch"),
    ]
    assert granted_rights(roles, bindings) == {
        Right("firewatch", "get", "pods"),
        Right("firewatch", "list", "pods"),
        Right("firewatch", "patch", "apps/deployments/scale"),
        Right("firewatch-prometheus", "get", "x/crds", "p"),
        Right("firewatch-prometheus", "get", "x/crds", "q"),
    }


def test_what_was_used_is_what_was_allowed() -> None:
    used = used_rights(
        [
            event("patch", "apps:deployments:scale:api"),
            event("patch", ":configmaps::rules", code=201),
            event("watch", ":services::", stage="ResponseStarted", responseStatus={}),
            event("watch", ":nodes::", requestURI="/api/v1/nodes?sendInitialEvents=true&watch=1"),
            event("get", ":secrets::a", annotations={"authorization.k8s.io/decision": "forbid"}),
            event("get", ":pods::a", user="system:admin"),
        ]
    )
    assert {right for right in used if not right.name} == {
        Right("firewatch", "patch", "apps/deployments/scale"),
        Right("firewatch", "patch", "configmaps"),
        Right("firewatch", "create", "configmaps"),
        Right("firewatch", "watch", "services"),
        Right("firewatch", "watch", "nodes"),
        Right("firewatch", "list", "nodes"),
    }
    assert Right("firewatch", "create", "configmaps", "rules") in used


GET, LIST, BIND = (Right("firewatch", verb, "pods") for verb in ("get", "list", "bind"))


@pytest.mark.parametrize(
    ("granted", "used", "listed", "unused", "stale"),
    [
        ({GET}, {GET, LIST}, {}, [], []),
        ({GET, LIST}, {GET}, {}, ["firewatch: list pods"], []),
        ({GET, BIND}, {GET}, {BIND: "seen nowhere"}, [], []),
        ({GET, BIND}, {GET, BIND}, {BIND: "seldom"}, [], []),
        ({GET}, {GET}, {BIND: "seen nowhere"}, [], ["firewatch: bind pods"]),
    ],
    ids=["used", "unused", "listed", "listed and used", "listed but not granted"],
)
def test_the_list_names_what_is_idle_and_what_is_stale(
    granted: set[Right],
    used: set[Right],
    listed: dict[Right, str],
    unused: list[str],
    stale: list[str],
) -> None:
    findings = judge(frozenset(granted), frozenset(used), listed)
    assert (findings.unused, findings.stale) == (unused, stale)
    assert findings.is_clean == (not unused and not stale)
    assert all(right in render(findings) for right in (*unused, *stale))


def test_the_list_is_kept_for_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "build" / "rights.json"
    monkeypatch.setattr(rights, "REPORT", path)
    assert rights.main() == 2
    write_report(judge(frozenset({GET, BIND}), frozenset(), {BIND: "seen nowhere"}), path)
    assert rights.main() == 1
    assert "unused   firewatch: get pods" in capsys.readouterr().out
    write_report(judge(frozenset({GET}), frozenset({GET}), {}), path)
    assert json.loads(path.read_text())["unused"] == []
    assert rights.main() == 0
