"""Overrides of finished workloads: what they can do, and the fence around them."""

from copy import deepcopy
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.left_out import find_left_out
from firewatch.build.objects import Stack
from firewatch.build.overrides import OverrideError, override
from firewatch.build.stack import build_plain, build_stack
from firewatch.build.surroundings import Surroundings

AROUND = Surroundings(receiver="10.0.0.1:9095")


def stack(**spec: Any) -> Stack:
    whole = {"metrics": {}, "exporters": {"node": {}}, **spec}
    return Stack("shop", "main", "u", MonitoringStackSpec.model_validate(whole))


def workloads(**spec: Any) -> dict[str, Object]:
    objects = build_stack(stack(**spec), AROUND)
    return {item["kind"]: item for item in objects if "template" in item.get("spec", {})}


def pod(**fields: Any) -> Object:
    return {"spec": {"template": {"spec": fields}}}


def container(name: str = "prometheus", **fields: Any) -> Object:
    return pod(containers=[{"name": name, **fields}])


def overridden(patch: Object, kind: str = "StatefulSet") -> Object:
    return override(workloads()[kind], patch)


def test_containers_are_found_by_name_and_keep_the_rest() -> None:
    patch = pod(
        dnsPolicy="None",
        terminationGracePeriodSeconds=None,
        containers=[
            {
                "name": "prometheus",
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "env": [{"name": "A", "value": "1"}],
                "resources": {"limits": {"memory": "2048Mi", "cpu": 0.5}},
                "volumeMounts": [{"mountPath": "/x", "name": "extra"}],
            },
            {"name": "proxy", "image": "proxy:1"},
        ],
        volumes=[{"name": "extra", "emptyDir": {"sizeLimit": "1024Mi"}}],
    )
    before = workloads()["StatefulSet"]["spec"]["template"]["spec"]
    found = overridden(patch)["spec"]["template"]["spec"]
    main, proxy = found["containers"]
    assert main["args"] == before["containers"][0]["args"]
    assert main["lifecycle"] == {"preStop": {"sleep": {"seconds": 5}}}
    assert main["resources"]["limits"] == {"memory": "2Gi", "cpu": "500m"}
    assert len(main["volumeMounts"]) == len(before["containers"][0]["volumeMounts"]) + 1
    assert proxy["securityContext"] == before["containers"][0]["securityContext"]
    assert found["volumes"][-1] == {"name": "extra", "emptyDir": {"sizeLimit": "1Gi"}}
    assert found["dnsPolicy"] == "None"
    assert "terminationGracePeriodSeconds" not in found
    assert found["serviceAccountName"] == before["serviceAccountName"]


FENCED: dict[str, Object] = {
    "serviceAccountName may not": pod(serviceAccountName="admin"),
    "serviceAccount may not": pod(serviceAccount="admin"),
    "automountServiceAccountToken may not": pod(automountServiceAccountToken=None),
    "hostNetwork may not": pod(hostNetwork=True),
    "hostPID may not": pod(hostPID=True),
    "hostIPC may not": pod(hostIPC=True),
    "hostPath may not": pod(volumes=[{"name": "x", "hostPath": {"path": "/"}}]),
    "tokens of service accounts may not": pod(
        volumes=[{"name": "x", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}]
    ),
    "volume token holds a token": container(
        "spy", image="x", volumeMounts=[{"name": "token", "mountPath": "/t"}]
    ),
    "volume token: hostPath may not": pod(volumes=[{"name": "token", "hostPath": {"path": "/"}}]),
    "securityContext.privileged may not": container(securityContext={"privileged": True}),
    "securityContext.capabilities may not": container(
        securityContext={"capabilities": {"add": ["SYS_ADMIN"]}}
    ),
    "container x: securityContext.capabilities": container(
        "x", image="x", securityContext={"capabilities": {"add": ["NET_ADMIN"]}}
    ),
    "allowPrivilegeEscalation may not": container(
        securityContext={"allowPrivilegeEscalation": True}
    ),
    "runAsNonRoot may not": pod(securityContext={"runAsNonRoot": False}),
    "seccompProfile may not": pod(securityContext={"seccompProfile": None}),
    "the pod: securityContext": pod(securityContext=None),
    "runAsUser must be above 0": pod(securityContext={"runAsUser": 0}),
    "fsGroup must be above 0": pod(securityContext={"fsGroup": None}),
    "hostPort may not": container(ports=[{"containerPort": 9090, "hostPort": 80}]),
    "container prometheus may not be removed": pod(containers=None),
    "volume config may not be removed": pod(volumes=None),
    "metadata.ownerReferences may not": {"metadata": {"ownerReferences": None}},
    "metadata.name may not": {"metadata": {"name": "other"}},
    "metadata.namespace may not": {"metadata": {"namespace": "kube-system"}},
    "metadata.finalizers may not": {"metadata": {"finalizers": ["a/b"]}},
    "app.kubernetes.io/managed-by belongs": {
        "metadata": {"labels": {"app.kubernetes.io/managed-by": "me"}}
    },
    "applied-hash belongs": {
        "metadata": {"annotations": {"monitoring.freeagentics.io/applied-hash": "x"}}
    },
    "spec.selector may not": {"spec": {"selector": {"matchLabels": {"a": "b"}}}},
    "spec.template.metadata.labels: app.kubernetes.io/name": {
        "spec": {"template": {"metadata": {"labels": {"app.kubernetes.io/name": None}}}}
    },
    "only metadata and spec": {"status": {"replicas": 3}},
    "has no name": pod(containers=[{"image": "x"}]),
    "is not a quantity": container(resources={"limits": {"memory": "much"}}),
    "not the form of a workload": {"spec": {"template": {"spec": {"containers": "none"}}}},
    "not the form": {"spec": {"template": None}},
}


@pytest.mark.parametrize("problem", FENCED)
def test_what_is_fenced_is_refused_and_named(problem: str) -> None:
    with pytest.raises(OverrideError) as caught:
        overridden(FENCED[problem])
    assert problem in str(caught.value)


def test_a_refused_override_is_named_and_the_others_are_made() -> None:
    overrides = {
        "prometheus": pod(hostNetwork=True),
        "node-exporter": pod(dnsPolicy="Default"),
        "nosuch": {},
    }
    wanted = stack(overrides=overrides)
    assert [(each.reason, each.message) for each in find_left_out(wanted, AROUND)] == [
        ("OverrideRefused", "overrides: nosuch is left out: the stack has no component nosuch"),
        (
            "OverrideRefused",
            "overrides: prometheus is left out: hostNetwork may not be overridden",
        ),
    ]
    found = workloads(overrides=overrides)
    assert found["StatefulSet"] == workloads()["StatefulSet"]
    assert found["DaemonSet"]["spec"]["template"]["spec"]["dnsPolicy"] == "Default"


def test_an_empty_override_changes_nothing() -> None:
    wanted = stack(overrides={"prometheus": {}})
    assert build_stack(wanted, AROUND) == build_plain(wanted, AROUND)


LEAVES = st.sampled_from(
    [None, True, False, 0, 1, "", "x", "token", "1Gi", [], {}, ["ALL"], {"path": "/"}]
)
FIELDS = st.sampled_from(
    [
        *("spec", "metadata", "template", "containers", "initContainers", "volumes", "name"),
        *("securityContext", "privileged", "capabilities", "add", "drop", "runAsUser"),
        *("runAsNonRoot", "allowPrivilegeEscalation", "hostPath", "hostNetwork", "hostPID"),
        *("serviceAccountName", "automountServiceAccountToken", "projected", "sources"),
        *("serviceAccountToken", "volumeMounts", "mountPath", "ports", "containerPort"),
        *("hostPort", "labels", "annotations", "ownerReferences", "selector", "matchLabels"),
        *("app.kubernetes.io/name", "procMount", "windowsOptions", "seccompProfile", "image"),
    ]
)
NAMED = st.builds(
    lambda name, rest: {"name": name, **rest},
    st.sampled_from(["prometheus", "x", "token", "config", "root", "node-exporter"]),
    st.dictionaries(FIELDS, LEAVES, max_size=3),
)


def grown(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.dictionaries(FIELDS, inner, max_size=3), st.lists(st.one_of(NAMED, inner), max_size=2)
    )


PARTS = st.recursive(LEAVES, grown, max_leaves=8)
PATCHES = st.one_of(
    st.dictionaries(FIELDS, PARTS, max_size=3),
    st.builds(lambda spec: pod(**spec), st.dictionaries(FIELDS, PARTS, max_size=3)),
    st.builds(lambda entry: pod(containers=[entry]), st.dictionaries(FIELDS, PARTS, max_size=4)),
    st.builds(
        lambda name, rest: container(name, **rest),
        st.sampled_from(["prometheus", "x"]),
        st.dictionaries(FIELDS.filter(lambda f: f != "name"), PARTS, max_size=3),
    ),
)


def powers(workload: Object) -> Object:
    """Return what a workload may do on its node and in its cluster, by means of its own."""
    spec = workload["spec"]["template"]["spec"]
    containers = [*spec.get("initContainers", []), *spec["containers"]]
    return {
        "owners": workload["metadata"]["ownerReferences"],
        "selector": workload["spec"]["selector"],
        "account": [spec.get("serviceAccountName"), spec.get("automountServiceAccountToken")],
        "host": [spec.get(name) for name in ("hostNetwork", "hostPID", "hostIPC")],
        "paths": [v["hostPath"] for v in spec.get("volumes", []) if "hostPath" in v],
        "tokens": [
            source
            for volume in spec.get("volumes", [])
            for source in volume.get("projected", {}).get("sources", [])
            if "serviceAccountToken" in source
        ],
        "spies": [
            c["name"]
            for c in containers
            for mount in c.get("volumeMounts", [])
            if mount.get("name") == "token"
        ],
        "escalation": {
            str([c["securityContext"].get(k) for k in ("allowPrivilegeEscalation", "privileged")])
            for c in containers
        },
        "capabilities": {str(c["securityContext"]["capabilities"]) for c in containers},
        "root": [
            spec["securityContext"]["runAsNonRoot"],
            spec["securityContext"]["seccompProfile"],
        ],
        "ports": [p for c in containers for p in c.get("ports", []) if "hostPort" in p],
    }


@settings(max_examples=200, deadline=None)
@given(PATCHES, st.sampled_from(["StatefulSet", "DaemonSet"]))
def test_no_override_gives_a_workload_more_power(patch: Object, kind: str) -> None:
    before = workloads()[kind]
    untouched = deepcopy(before)
    try:
        after = override(before, patch)
    except OverrideError:
        after = before
    now, then = powers(after), powers(before)
    # A patch may take the token from a container, but give it to none.
    assert set(now.pop("spies")) <= set(then.pop("spies"))
    assert now == then
    assert before == untouched
