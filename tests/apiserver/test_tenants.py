"""Who may do everything in one namespace changes nothing in another, neither alone nor by the operator.

What resources name of the other namespace is tried in test_tenant_references.py.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e.kubectl import wait_for
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import GROUP, Object
from firewatch.api.responses import OPT_IN_LABEL
from tests.apiserver.everything import NOBODY, ours, statuses
from tests.apiserver.impersonating import (
    Answer,
    Attempt,
    Line,
    Offer,
    Versions,
    attempts,
    discover,
    line_of,
    objects_in,
    versions_in,
)
from tests.apiserver.kubectl import Kubectl, KubectlError, kubectl_of
from tests.apiserver.tenants import (
    ADMIN,
    AS_OWNER,
    NEIGHBOUR,
    OWNER,
    TENANT,
    Town,
    standing,
    steady,
    town,
)

USERS = (OWNER, ADMIN)
CONTAINER: Object = {"name": "c", "image": "registry.example/none"}
JOB: Object = {"template": {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}}
VOLUME: Object = {
    "accessModes": ["ReadWriteOnce"],
    "resources": {"requests": {"storage": "1Gi"}},
}
SCALER: Object = {
    "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "own"},
    "maxReplicas": 3,
}
RBAC = "rbac.authorization.k8s.io"
THINGS: tuple[tuple[str, str, Object], ...] = (
    ("v1", "ServiceAccount", {}),
    ("v1", "Secret", {"stringData": {"a": "b"}}),
    ("v1", "ConfigMap", {"data": {"a": "b"}}),
    ("v1", "Service", {"spec": {"ports": [{"port": 80}]}}),
    ("v1", "PersistentVolumeClaim", {"spec": VOLUME}),
    ("v1", "Pod", {"spec": {"serviceAccountName": "own", "containers": [CONTAINER]}}),
    ("batch/v1", "Job", {"spec": JOB}),
    ("batch/v1", "CronJob", {"spec": {"schedule": "0 0 1 1 *", "jobTemplate": {"spec": JOB}}}),
    ("autoscaling/v2", "HorizontalPodAutoscaler", {"spec": SCALER}),
    ("networking.k8s.io/v1", "NetworkPolicy", {"spec": {"podSelector": {}}}),
    ("coordination.k8s.io/v1", "Lease", {"spec": {"holderIdentity": "somebody"}}),
    (f"{RBAC}/v1", "Role", {"rules": []}),
    (
        f"{RBAC}/v1",
        "RoleBinding",
        {"roleRef": {"apiGroup": RBAC, "kind": "Role", "name": "own"}, "subjects": []},
    ),
)
"""What stands in the neighbour's namespace besides what the operator makes: version, kind, the rest."""
FOR_ALL = ("selfsubjectaccessreviews", "selfsubjectreviews", "selfsubjectrulesreviews")
"""What everybody may create, which keeps nothing: they ask about themselves."""


def deployment(namespace: str) -> Object:
    labels = {"app": "api"}
    template = {
        "metadata": {"labels": labels},
        "spec": {"containers": [{"name": "api", "image": "registry.example/api"}]},
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "namespace": namespace, "labels": {OPT_IN_LABEL: "enabled"}},
        "spec": {"replicas": 2, "selector": {"matchLabels": labels}, "template": template},
    }


def response(namespace: str) -> Object:
    spec = {
        "stackRef": {"name": "main"},
        "trigger": {"alert": "Up"},
        "target": {"name": "api"},
        "actions": [{"scaleUp": {"by": 1, "maxReplicas": 9}}],
        "mode": "enforce",
    }
    return ours("AutoResponse", "scale", namespace, spec)


def policy(where: str) -> Object:
    groups = [{"name": "g", "rules": [{"alert": "Up", "expr": "vector(1)"}]}]
    return ours("AlertPolicy", "up", where, {"stackRef": {"name": "main"}, "groups": groups})


def home(namespace: str) -> list[Object]:
    """Return what stands in both namespaces, under the same names."""
    stack = ours("MonitoringStack", "main", namespace, {"metrics": {}, "alerting": NOBODY})
    return [deployment(namespace), stack, policy(namespace), response(namespace)]


def things(namespace: str) -> list[Object]:
    """Return an object of most kinds that people write."""
    metadata = {"name": "own", "namespace": namespace}
    return [
        {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}
        for version, kind, rest in THINGS
    ]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with town(tmp_path_factory.mktemp("town")) as found:
        found.apply(*home(NEIGHBOUR), *things(NEIGHBOUR))
        wait_for("the neighbour's statuses", lambda: statuses(found.kubectl), seconds=120)
        steady("the neighbour to stand", lambda: settled(found.kubectl))
        yield found


def settled(kubectl: Kubectl) -> dict[str, Object]:
    """Return what there is in the neighbour's namespace once everything is made."""
    found = standing(kubectl)
    assert {"StatefulSet/main-prometheus", "StatefulSet/main-alertmanager"} <= found.keys()
    assert [each for each in found.values() if "vector(1)" in str(each.get("data"))]
    return found


def ask_all(line: Line, wanted: list[Attempt]) -> list[tuple[Attempt, Answer]]:
    return [(attempt, line.ask(attempt)) for attempt in wanted]


def allowed(answers: list[tuple[Attempt, Answer]], user: str) -> list[str]:
    """Return what RBAC has not refused, and how it was answered."""
    return [
        f"{attempt}: {answer.status} {answer.text[:200]}"
        for attempt, answer in answers
        if not answer.refuses(user)
    ]


def in_namespaces(offers: list[Offer]) -> list[Offer]:
    return [each for each in offers if each.is_namespaced]


def of_the_cluster(offers: list[Offer]) -> list[Offer]:
    """Return what has no namespace, and of all else the looks into every namespace at once."""
    return [
        replace(each, verbs=tuple(verb for verb in each.verbs if verb in ("list", "watch")))
        if each.is_namespaced
        else each
        for each in offers
        if each.plural not in FOR_ALL
    ]


def differing(before: Versions, after: Versions) -> set[tuple[str, str]]:
    """Return plural and name of what has changed, come or gone."""
    return {
        (kind, name)
        for uid in before.keys() | after.keys()
        if before.get(uid) != after.get(uid)
        for kind, name, _ in (after.get(uid) or before[uid],)
    }


@pytest.mark.parametrize("user", USERS)
def test_every_verb_on_every_kind_of_a_neighbour_is_refused(here: Town, user: str) -> None:
    access, writes = here.administrator, here.audit()
    with line_of(access) as line, line_of(access, user) as tenant:
        offers = discover(line)
        there = objects_in(line, in_namespaces(offers), NEIGHBOUR)
        known = {place: items[0] for place, items in there.items()}
        before = versions_in(line, offers, NEIGHBOUR)
        wanted = attempts(in_namespaces(offers), NEIGHBOUR, known)
        assert {"deployments/scale", "pods/exec", "autoresponses/status", "secrets"} <= {
            attempt.offer.title for attempt in wanted
        }
        assert allowed(ask_all(tenant, wanted), user) == []
        after = versions_in(line, offers, NEIGHBOUR)
    assert {"secrets", "pods", "jobs", "autoresponses"} <= {kind for kind, *_ in before.values()}
    by_operator = {(kind.partition("/")[0], name) for kind, name in writes.of_operator(NEIGHBOUR)}
    assert differing(before, after) <= by_operator
    assert writes.of_people(NEIGHBOUR) == []


@pytest.mark.parametrize("user", USERS)
def test_nothing_without_a_namespace_is_theirs_either(here: Town, user: str) -> None:
    with line_of(here.administrator) as line, line_of(here.administrator, user) as tenant:
        offers = of_the_cluster(discover(line))
        known = {("/api/v1", "namespaces"): {"metadata": {"name": NEIGHBOUR}}}
        wanted = attempts(offers, "", known)
        assert f"/api/v1/namespaces/{NEIGHBOUR}" in {attempt.path for attempt in wanted}
        assert allowed(ask_all(tenant, wanted), user) == []


@pytest.mark.parametrize("user", USERS)
def test_the_same_is_theirs_at_home(here: Town, user: str) -> None:
    """The tests above prove something only about people who may do what they try."""
    with line_of(here.administrator) as line, line_of(here.administrator, user) as tenant:
        wanted = attempts(in_namespaces(discover(line)), TENANT, dry=True)
        answers = ask_all(tenant, wanted)
    refused = [str(attempt) for attempt, answer in answers if answer.refuses(user)]
    if user == OWNER:
        assert refused == []
        return
    may: dict[str, set[str]] = {}
    for attempt, answer in answers:
        if not answer.refuses(user):
            may.setdefault(attempt.offer.title, set()).add(attempt.verb)
    verbs = {"get", "list", "watch", "create", "update", "patch", "delete", "deletecollection"}
    theirs = {custom.plural for custom in CUSTOM_KINDS}
    for kind in (*theirs, "secrets", "configmaps", "pods", "deployments", "roles", "rolebindings"):
        assert may[kind] == verbs, kind
    # What nobody may write: it holds what the operator has promised to restore.
    assert not may.keys() & {f"{kind}/status" for kind in theirs}


def test_nobody_becomes_an_account_of_a_neighbour(here: Town, tmp_path: Path) -> None:
    """By a certificate: who is impersonated already impersonates nobody."""
    kubectl = kubectl_of(here.control_plane.user_kubeconfig(OWNER), tmp_path)
    look = ("get", "secrets", "-n", NEIGHBOUR)
    with pytest.raises(KubectlError, match="cannot list"):
        kubectl(*look)
    with pytest.raises(KubectlError, match="cannot impersonate"):
        kubectl(*look, f"--as=system:serviceaccount:{NEIGHBOUR}:own")
    with pytest.raises(KubectlError, match="cannot list"):
        kubectl(*look, f"--as=system:serviceaccount:{TENANT}:own")


@pytest.mark.parametrize("user", USERS)
def test_no_further_verb_is_theirs_in_a_neighbours_namespace(here: Town, user: str) -> None:
    """Such as ``approve``, ``bind`` and ``impersonate``, which no request is named after."""
    mine = ("auth", "can-i", "--list", "--no-headers")
    nobody = here.kubectl(*mine, "-n", NEIGHBOUR, "--as=nobody-at-all")
    assert here.kubectl(*mine, "-n", NEIGHBOUR, f"--as={user}") == nobody
    assert here.kubectl(*mine, "-n", TENANT, f"--as={user}") != nobody
    asked = ("auth", "can-i", "approve", f"autoresponses.{GROUP}", f"--as={user}", "-n")
    assert here.kubectl(*asked, TENANT).strip() == "yes"
    with pytest.raises(KubectlError, match="no"):
        here.kubectl(*asked, NEIGHBOUR)


def mover() -> Object:
    """Return a stack that would have a finished object made in the neighbour's namespace."""
    elsewhere = {"metadata": {"namespace": NEIGHBOUR, "name": "main-prometheus"}}
    spec = {"metrics": {}, "overrides": {"prometheus": elsewhere}}
    return ours("MonitoringStack", "mover", TENANT, spec)


def test_a_tenant_changes_nothing_of_a_neighbour_by_the_operator(here: Town) -> None:
    kubectl = here.kubectl
    before = steady("the neighbour to stand", lambda: settled(kubectl))
    here.apply(*home(TENANT), mover(), user=OWNER)
    wait_for("the tenant's statuses", lambda: statuses(kubectl), seconds=120)
    assert "main-prometheus" in kubectl("get", "statefulsets", *AS_OWNER)
    moved = json.loads(kubectl("get", "mstack/mover", *AS_OWNER, "-o", "json"))
    assert "OverrideRefused" in {each["reason"] for each in moved["status"]["conditions"]}
    assert standing(kubectl) == before
    kubectl("delete", *AS_OWNER, "--all", "mstack,apol,aresp,rpol")
    assert standing(kubectl) == before
