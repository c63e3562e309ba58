"""The Helm chart: which rights it gives, to whom, and where."""

from pathlib import Path

import pytest
import yaml

from firewatch.api.exporters import Collector
from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import GROUP
from firewatch.cluster.kinds import Scope
from firewatch.settings import (
    EXTRA_KINDS,
    KUBE_STATE_METRICS_ROLE,
    LEASE_NAME,
    PROMETHEUS_ROLE,
    ExtraKind,
    parse_extra_kinds,
)
from tests.golden.rendering import CHART, Helm, Object, hooks, name_of, of_kind, staying

NODES_ROLE = "firewatch-prometheus-nodes"
RIGHTS: dict[str, list[Object]] = yaml.safe_load((CHART / "files" / "rbac.yaml").read_text())


@pytest.fixture(name="objects")
def installed(objects: list[Object]) -> list[Object]:
    """Leave out what is there for the time of an uninstall only."""
    return staying(objects)


def rules_of(objects: list[Object], name: str) -> list[Object]:
    (role,) = (item for item in of_kind(objects, "ClusterRole") if name_of(item) == name)
    rules: list[Object] = role["rules"]
    return rules


def test_roles_are_the_operators_table_of_rights(case: str, objects: list[Object]) -> None:
    assert sorted(RIGHTS) == sorted(Scope)
    (operator,) = of_kind(objects, "ServiceAccount")
    bound = (Scope.CLUSTER, Scope.STACKS, Scope.TARGETS, Scope.RESTARTS, Scope.SOURCES)
    found = {scope: rules_of(objects, f"{name_of(operator)}-{scope}") for scope in bound}
    if case == "everything":  # names two further kinds, and so has two rules more for each
        found[Scope.TARGETS] = found[Scope.TARGETS][:-4]
    assert found == {scope: RIGHTS[scope] for scope in bound}
    own = [rule for role in of_kind(objects, "Role") for rule in role["rules"]]
    assert own == RIGHTS[Scope.OWN]


def test_cluster_wide_rights_are_own_kinds_crds_and_token_reviews() -> None:
    names = {f"{custom.plural}.{GROUP}" for custom in CUSTOM_KINDS}
    for rule in RIGHTS[Scope.CLUSTER]:
        match rule["apiGroups"]:
            case ["apiextensions.k8s.io"]:
                assert rule["resources"] == ["customresourcedefinitions"]
                assert {*rule["verbs"]} <= {"get", "list", "watch"}
                assert {*rule["resourceNames"]} <= names
            case ["authentication.k8s.io"]:
                assert (rule["resources"], rule["verbs"]) == (["tokenreviews"], ["create"])
            case groups:
                assert groups == [GROUP]
                assert not {*rule["verbs"]} & {"create", "delete", "deletecollection", "*"}


def test_nothing_else_is_bound_cluster_wide(case: str, objects: list[Object]) -> None:
    bound = {item["roleRef"]["name"] for item in of_kind(objects, "ClusterRoleBinding")}
    scopes = ("cluster", "stacks", "targets", "restarts", "breakers")
    everywhere = {f"watcher-{scope}" for scope in scopes}
    readers = set() if case == "defaults" else {NODES_ROLE, KUBE_STATE_METRICS_ROLE}
    assert bound == (everywhere if case == "everything" else {"firewatch-cluster"}) | readers


def test_accounts_of_stacks_read_the_cluster_in_the_named_namespaces_only(
    case: str, objects: list[Object]
) -> None:
    bound = {
        item["roleRef"]["name"]: item["subjects"]
        for item in of_kind(objects, "ClusterRoleBinding")
        if item["roleRef"]["name"] in {NODES_ROLE, KUBE_STATE_METRICS_ROLE}
    }
    accounts = {NODES_ROLE: PROMETHEUS_ROLE, KUBE_STATE_METRICS_ROLE: KUBE_STATE_METRICS_ROLE}
    assert bound == {
        role: [{"kind": "ServiceAccount", "name": account, "namespace": "platform"}]
        for role, account in accounts.items()
        if case != "defaults"
    }


def test_what_reads_the_cluster_only_reads(objects: list[Object]) -> None:
    rules = rules_of(objects, NODES_ROLE) + rules_of(objects, KUBE_STATE_METRICS_ROLE)
    assert {verb for rule in rules for verb in rule["verbs"]} == {"get", "list", "watch"}
    resources = {resource for rule in rules for resource in rule["resources"]}
    assert not resources & {"secrets", "configmaps", "nodes/proxy"}


def test_kube_state_metrics_may_list_exactly_what_its_collectors_need(
    objects: list[Object],
) -> None:
    rules = rules_of(objects, KUBE_STATE_METRICS_ROLE)
    resources = [resource for rule in rules for resource in rule["resources"]]
    assert sorted(resources) == sorted(Collector)


def test_bindings_are_in_the_given_namespaces_only(objects: list[Object], values: Path) -> None:
    given = yaml.safe_load(values.read_text())
    for scope in (Scope.STACKS, Scope.TARGETS, Scope.SOURCES):
        bound = [
            item["metadata"]["namespace"]
            for item in of_kind(objects, "RoleBinding")
            if item["roleRef"]["name"].endswith(f"-{scope}")
        ]
        namespaces = given.get(scope, {}).get("namespaces", [])
        assert bound == [name for name in namespaces if name != "*"]


def account(name: str) -> Object:
    return {"kind": "ServiceAccount", "name": name, "namespace": "firewatch"}


def test_every_other_binding_is_to_the_operators_account(objects: list[Object]) -> None:
    (operator,) = map(name_of, of_kind(objects, "ServiceAccount"))
    releasing = f"{operator}-release"
    bindings = [
        item
        for item in of_kind(objects, "RoleBinding", "ClusterRoleBinding")
        if item["roleRef"]["name"] not in {NODES_ROLE, KUBE_STATE_METRICS_ROLE}
    ]
    assert bindings
    for item in bindings:
        gives_back = item["roleRef"]["name"] in (f"{operator}-targets", f"{operator}-breakers")
        also = [account(releasing)] if gives_back else []
        assert item["subjects"] == [account(operator), *also]


def test_of_leases_only_the_one_that_the_replicas_agree_by_is_written() -> None:
    found = [
        (scope, rule)
        for scope, rules in RIGHTS.items()
        for rule in rules
        if "leases" in rule["resources"]
    ]
    group = ["coordination.k8s.io"]
    assert found == [
        (Scope.OWN, {"apiGroups": group, "resources": ["leases"], "verbs": ["create"]}),
        (
            Scope.OWN,
            {
                "apiGroups": group,
                "resources": ["leases"],
                "resourceNames": [LEASE_NAME],
                "verbs": ["get", "patch"],
            },
        ),
    ]


def test_the_release_before_an_uninstall_has_rights_of_its_own_for_that_time(helm: Helm) -> None:
    made = hooks(helm.objects(), "pre-delete")
    for each in made:
        annotations = each["metadata"]["annotations"]
        policy = "before-hook-creation,hook-succeeded"
        assert annotations["helm.sh/hook-delete-policy"] == policy
    rights = yaml.safe_load(
        (CHART / "files" / "release-rbac.yaml").read_text().replace("$operator", "firewatch")
    )
    (everywhere,) = of_kind(made, "ClusterRole")
    (beside,) = of_kind(made, "Role")
    assert everywhere["rules"] == rights[Scope.CLUSTER]
    assert beside["rules"] == rights[Scope.OWN]
    for binding in of_kind(made, "ClusterRoleBinding", "RoleBinding"):
        assert binding["subjects"] == [account("firewatch-release")]
    (job,) = of_kind(made, "Job")
    assert job["spec"]["template"]["spec"]["serviceAccountName"] == "firewatch-release"
    order = [int(each["metadata"]["annotations"]["helm.sh/hook-weight"]) for each in made]
    assert max(order) == int(job["metadata"]["annotations"]["helm.sh/hook-weight"])


def test_secrets_are_read_by_name_where_that_is_granted_and_never_listed(
    objects: list[Object],
) -> None:
    reaching = {
        name_of(role).rpartition("-")[2]: sorted(rule["verbs"])
        for role in of_kind(objects, "Role", "ClusterRole")
        for rule in role["rules"]
        if "secrets" in rule["resources"]
    }
    assert reaching == {"sources": ["get"], "stacks": ["create", "delete", "get", "patch"]}


def test_no_role_has_wildcards(objects: list[Object]) -> None:
    for role in of_kind(objects, "Role", "ClusterRole"):
        for rule in role["rules"]:
            assert "nonResourceURLs" not in rule
            for part in ("apiGroups", "resources", "verbs"):
                assert not [entry for entry in rule[part] if "*" in entry], name_of(role)


def test_the_only_power_over_rights_is_to_bind_the_role_of_prometheus() -> None:
    powers = [
        rule
        for rules in RIGHTS.values()
        for rule in rules
        if {*rule["verbs"]} & {"bind", "escalate", "impersonate"}
    ]
    (power,) = powers
    assert power in RIGHTS[Scope.STACKS]
    assert power["verbs"] == ["bind"]
    assert power["resourceNames"] == [PROMETHEUS_ROLE]


def test_prometheus_may_read_what_it_finds_targets_by(objects: list[Object]) -> None:
    read = ["list", "watch"]
    assert rules_of(objects, PROMETHEUS_ROLE) == [
        {"apiGroups": [""], "resources": ["pods", "services"], "verbs": read},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": read},
    ]


def test_user_roles_cover_every_kind_and_no_status(helm: Helm) -> None:
    rendered = helm.objects()
    reads = {"get", "list", "watch"}
    writes = {"create", "update", "patch", "delete", "deletecollection"}
    for name, verbs in (("firewatch-view", reads), ("firewatch-edit", reads | writes)):
        (rule,) = rules_of(rendered, name)
        assert rule["apiGroups"] == [GROUP]
        assert sorted(rule["resources"]) == sorted(custom.plural for custom in CUSTOM_KINDS)
        assert {*rule["verbs"]} == verbs


FURTHER = (
    *("--set", "targets.namespaces={shop}"),
    *("--set", "targets.extraKinds[0].group=example.org,targets.extraKinds[0].kind=Farm"),
    *("--set", "targets.extraKinds[0].resource=farms,targets.extraKinds[0].version=v1beta1"),
    *("--set", "targets.extraKinds[1].group=,targets.extraKinds[1].kind=ReplicationController"),
    *("--set", "targets.extraKinds[1].resource=replicationcontrollers"),
)


def test_further_kinds_can_be_read_and_scaled_and_nothing_else(helm: Helm) -> None:
    objects = helm.objects(*FURTHER)
    assert rules_of(objects, "firewatch-targets") == [
        *RIGHTS[Scope.TARGETS],
        {"apiGroups": ["example.org"], "resources": ["farms"], "verbs": ["get"]},
        {"apiGroups": ["example.org"], "resources": ["farms/scale"], "verbs": ["get", "patch"]},
        {"apiGroups": [""], "resources": ["replicationcontrollers"], "verbs": ["get"]},
        {
            "apiGroups": [""],
            "resources": ["replicationcontrollers/scale"],
            "verbs": ["get", "patch"],
        },
    ]


def test_the_operator_and_the_release_are_told_of_further_kinds(helm: Helm) -> None:
    objects = helm.objects(*FURTHER)
    (deployment,) = of_kind(objects, "Deployment")
    (release,) = of_kind(objects, "Job")
    for workload in (deployment, release):
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        (value,) = (e["value"] for e in container["env"] if e["name"] == EXTRA_KINDS)
        assert parse_extra_kinds(value) == (
            ExtraKind("example.org", "v1beta1", "Farm", "farms"),
            ExtraKind("", "v1", "ReplicationController", "replicationcontrollers"),
        )


def test_the_fence_looks_at_further_kinds(helm: Helm) -> None:
    (fence,) = (
        each
        for each in of_kind(helm.objects(*FURTHER), "ValidatingAdmissionPolicy")
        if name_of(each) == "firewatch-fence"
    )
    rules = fence["spec"]["matchConstraints"]["resourceRules"]
    assert [rule["resources"] for rule in rules[-2:]] == [["farms"], ["replicationcontrollers"]]
