"""What a breaker sees of objects as the API server has them, and of counters as Prometheus has them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from firewatch.api.circuit_breaker import CircuitBreaker, Measure
from firewatch.respond.circuit.levers import Lever
from firewatch.respond.circuit.measure import build_queries, counters, since, young
from firewatch.respond.circuit.rollback import TEMPLATE
from firewatch.respond.circuit.see import Objects, build_world
from firewatch.respond.circuit.world import Traffic

Object = dict[str, Any]
WANTED = CircuitBreaker.model_validate(
    {"mechanism": "flag", "flag": {"configMap": "api", "key": "breaker", "open": "on"}}
)
MORNING, NOON = "2026-11-29T08:00:00Z", "2026-11-29T12:00:00Z"


def template(image: str, **spec: Any) -> Object:
    return {
        "metadata": {"labels": {"app": "api"}},
        "spec": {"containers": [{"name": "api", "image": image, **spec}]},
    }


def deployment(present: Object) -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "api", "uid": "d"},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "api"}},
            "template": present,
        },
    }


def replica_set(name: str, number: int, made: str, held: Object, owner: str = "d") -> Object:
    labels = {"app": "api", "pod-template-hash": name}
    return {
        "kind": "ReplicaSet",
        "metadata": {
            "name": name,
            "uid": f"r-{name}",
            "creationTimestamp": made,
            "labels": labels,
            "annotations": {"deployment.kubernetes.io/revision": str(number)},
            "ownerReferences": [{"uid": owner, "controller": True}],
        },
        "spec": {"template": {**held, "metadata": {"labels": labels}}},
    }


def pod(name: str, *, ready: bool = True, made: str = NOON, of: str = "new", **more: Any) -> Object:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name,
            "uid": f"p-{name}",
            "creationTimestamp": made,
            "labels": {"app": "api", "pod-template-hash": of},
            "ownerReferences": [{"kind": "ReplicaSet", "name": f"api-{of}", "controller": True}],
            **more,
        },
        "spec": {"containers": [{"ports": [{"name": "http", "containerPort": 8000}]}]},
        "status": {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


NEW, OLD = template("api:2"), template("api:1")
SERVICE: Object = {
    "kind": "Service",
    "metadata": {"name": "api", "uid": "s"},
    "spec": {"selector": {"app": "api"}, "ports": [{"port": 80, "targetPort": "http"}]},
}
OBJECTS = Objects(
    kind="Deployment",
    name="api",
    target=deployment(NEW),
    pods=(
        pod("api-1"),
        pod("api-2", ready=False, made=MORNING),
        pod("api-3", deletionTimestamp=NOON),
        pod("web-1", labels={"app": "web"}),
    ),
    services=(SERVICE,),
    replica_sets=(
        replica_set("old", 1, "2026-11-01T00:00:00Z", OLD),
        replica_set("new", 2, MORNING, NEW),
        replica_set("other", 9, MORNING, NEW, owner="somebody"),
    ),
    flag_maps=(
        {
            "kind": "ConfigMap",
            "metadata": {"name": "api", "uid": "c"},
            "data": {"breaker": "off"},
        },
    ),
    config_maps=frozenset({"api"}),
)


def test_the_target_and_its_pods() -> None:
    world = build_world(OBJECTS, WANTED)
    assert (world.target.kind, world.target.name, world.replicas) == ("Deployment", "api", 2)
    assert [each.name for each in world.target.pods] == ["api-1", "api-2"], "one is about to go"
    assert [each.name for each in world.target.ready] == ["api-1"]
    assert world.names == {"api-1", "api-2", "web-1"}
    assert world.target.is_simple


def test_pods_are_of_replica_sets() -> None:
    pods = [pod("a"), pod("b", of="old"), pod("c", ownerReferences=[])]
    found = build_world(replace(OBJECTS, pods=pods), WANTED).target.pods
    assert [each.replica_set for each in found] == ["api-new", "api-old", ""]


def test_services_with_the_names_of_ports() -> None:
    (service,) = build_world(OBJECTS, WANTED).services
    assert (service.name, service.selector) == ("api", {"app": "api"})
    assert service.ports == {"http"}
    assert build_world(OBJECTS, WANTED).target.pods[0].ports == {"http"}


def test_what_stands_in_the_fields_that_may_be_held() -> None:
    seen = build_world(OBJECTS, WANTED).seen
    values = {(lever.kind, lever.name, lever.field): each.value for lever, each in seen.items()}
    assert values["Service", "api", "/spec/selector"] == '{"app":"api"}'
    assert values["Pod", "api-1", "/metadata/labels/app"] == '"api"'
    label = "/metadata/labels/monitoring.freeagentics.io~1serves"
    assert values["Pod", "api-1", label] is None
    assert values["ConfigMap", "api", "/data/breaker"] == '"off"'
    assert values["Deployment", "api", "/spec/replicas"] == "2"
    assert values["Deployment", "api", TEMPLATE] == '"new"'
    assert ("Pod", "api-3", label) not in values
    assert seen[Lever("ConfigMap", "api", "/data/breaker")].uid == "c"


def test_a_template_of_which_there_is_no_replica_set_yet_is_nobodys() -> None:
    world = build_world(replace(OBJECTS, target=deployment(template("api:3"))), WANTED)
    assert world.seen[Lever("Deployment", "api", TEMPLATE)].value == '"unknown"'
    assert world.revisions == ()


class TestRevisions:
    """What a Deployment has been."""

    def test_the_newest_first(self) -> None:
        found = build_world(OBJECTS, WANTED).revisions
        assert [(each.replica_set, each.number) for each in found] == [("new", 2), ("old", 1)]

    def test_one_began_with_its_pods(self) -> None:
        present = build_world(OBJECTS, WANTED).revisions[0]
        assert present.began == datetime(2026, 11, 29, 8, tzinfo=UTC)
        again = replace(OBJECTS, pods=(pod("api-1"),))
        assert build_world(again, WANTED).revisions[0].began == datetime(
            2026, 11, 29, 12, tzinfo=UTC
        ), "a revision that was gone back to is older than its rollout"

    @pytest.mark.parametrize(
        ("needs", "lacking"),
        [
            ({"envFrom": [{"configMapRef": {"name": "api"}}]}, ""),
            ({"envFrom": [{"configMapRef": {"name": "gone"}}]}, "ConfigMap gone is gone"),
            ({"envFrom": [{"configMapRef": {"name": "gone", "optional": True}}]}, ""),
            (
                {"env": [{"valueFrom": {"secretKeyRef": {"name": "token", "key": "k"}}}]},
                "Secret token",
            ),
        ],
    )
    def test_what_it_needs_must_be_there(self, needs: Object, lacking: str) -> None:
        sets = (
            replica_set("old", 1, MORNING, template("api:1", **needs)),
            replica_set("new", 2, MORNING, NEW),
        )
        _, before = build_world(replace(OBJECTS, replica_sets=sets), WANTED).revisions
        assert lacking in before.lacking
        assert bool(lacking) is bool(before.lacking)

    def test_a_secret_that_the_present_one_needs_as_well_is_there(self) -> None:
        needs = {"envFrom": [{"secretRef": {"name": "token"}}]}
        present = template("api:2", **needs)
        sets = (
            replica_set("old", 1, MORNING, template("api:1", **needs)),
            replica_set("new", 2, MORNING, present),
        )
        world = build_world(replace(OBJECTS, target=deployment(present), replica_sets=sets), WANTED)
        assert world.revisions[1].lacking == ""


@pytest.mark.parametrize(
    ("selector", "allowed"),
    [({"matchLabels": {"app": "api"}}, 1), ({"matchLabels": {"app": "web"}}, None)],
)
def test_budgets_of_the_target_count(selector: Object, allowed: int | None) -> None:
    spec, status = {"selector": selector}, {"disruptionsAllowed": 1}
    budget = {"metadata": {"name": "api"}, "spec": spec, "status": status}
    world = build_world(replace(OBJECTS, budgets=(budget,)), WANTED)
    assert world.disruptions_allowed == allowed


class TestMeasure:
    """What pods have answered."""

    def test_texts_of_users_are_quoted(self) -> None:
        measure = Measure(
            error_label="code", error_pattern='5..|"} or vector(1) or {a="', window="2m"
        )
        queries = build_queries(measure, "shop")
        assert queries.requests == 'sum by (pod) (freeagentics_requests_total{namespace="shop"})'
        assert queries.errors_before == (
            'sum by (pod) (freeagentics_requests_total{namespace="shop",'
            'code=~"5..|\\"} or vector(1) or {a=\\""} offset 2m)'
        )

    def test_no_series_of_errors_is_no_error(self) -> None:
        assert counters({"a": 5, "b": 7, "": 9}, {"a": 2}) == {
            "a": Traffic(5, 2),
            "b": Traffic(7, 0),
        }

    def test_counters_that_are_new_or_began_anew_count_from_nought(self) -> None:
        now = {
            "a": Traffic(10, 4),
            "new": Traffic(3, 3),
            "again": Traffic(2, 1),
            "unseen": Traffic(900, 900),
        }
        before = {"a": Traffic(8, 3), "again": Traffic(90, 0), "gone": Traffic(1, 1)}
        assert since(now, before, young={"new"}) == {
            "a": Traffic(2, 1),
            "new": Traffic(3, 3),
            "again": Traffic(2, 1),
        }, "what was not scraped then may count from days ago"

    def test_a_pod_is_scraped_some_time_after_it_has_started(self) -> None:
        """Pods of a rollout were left out, and the breaker refused, if they were just older than the window."""
        window_began = datetime(2026, 11, 29, 12, tzinfo=UTC)

        def pod(name: str, made: str, *started: str | None) -> Object:
            states: list[Object] = [
                {"running": {"startedAt": at}} if at else {"waiting": {}} for at in started
            ]
            return {
                "metadata": {"name": name, "creationTimestamp": made},
                "status": {"containerStatuses": [{"state": state} for state in states]},
            }

        assert young(
            [
                pod("within the window", NOON, "2026-11-29T12:00:03Z"),
                pod("just before it", "2026-11-29T11:59:55Z", "2026-11-29T11:59:57Z"),
                pod("its image came slowly", MORNING, "2026-11-29T11:59:57Z"),
                pod("it does not run yet", NOON, None),
                pod("old", MORNING, "2026-11-29T08:00:02Z"),
                pod("one of its containers is old", MORNING, MORNING, NOON),
                pod("it ran", MORNING, None),
            ],
            window_began,
        ) == {"within the window", "just before it", "its image came slowly", "it does not run yet"}
