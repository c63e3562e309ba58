"""Stacks with servers that others run: what is built for them, and what is not."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.detection import pace_of
from firewatch.build.external import marker_owner
from firewatch.build.grafana.dashboards import Dashboard, Source
from firewatch.build.grafana.data_sources import build_data_sources, data_source_files
from firewatch.build.grafana.pushes import build_push, owner_tag, plan_pushes, pointed_at
from firewatch.build.objects import Part, Stack
from firewatch.build.promtool import build_promtool_job
from firewatch.build.slots import build_slot, split_slot
from firewatch.build.stack import build_shared, build_stack, named_files
from firewatch.build.surroundings import Surroundings
from firewatch.build.yaml_text import load_yaml

URL = "https://metrics.example:9090"


def ref(key: str) -> dict[str, str]:
    return {"name": "login", "key": key}


def stack(namespace: str = "shop", name: str = "main", **external: Any) -> Stack:
    server = {"url": URL, **external}
    spec = MonitoringStackSpec.model_validate({"external": {"prometheus": server}})
    return Stack(namespace, name, "u", spec)


def test_nothing_runs_for_it_and_rules_have_the_labels_by_which_they_are_found() -> None:
    found = stack(ruleLabels={"prometheus_rule": "1", "team": "shop"})
    assert [*build_stack(found, Surroundings("127.0.0.1:1")), *build_shared([found])] == []
    slot = build_slot(found, 3, {"a.yml": "1"})
    labels = slot["metadata"]["labels"]
    assert labels.items() >= {("prometheus_rule", "1"), ("team", "shop")}
    assert labels["app.kubernetes.io/managed-by"] == "firewatch"
    texts, marker = split_slot(found, 3, slot["data"])
    assert texts == {"a.yml": "1"}
    assert "firewatch_hash" in marker


def test_stacks_that_share_a_server_have_marker_files_of_their_own() -> None:
    stacks = [stack(), stack(name="other"), stack(namespace="other")]
    files = [set(build_slot(each, 0, {})["data"]) for each in stacks]
    assert len(set.union(*files)) == 3
    own = Stack("shop", "main", "u", MonitoringStackSpec.model_validate({"metrics": {}}))
    assert marker_owner(own) == ""


@pytest.mark.parametrize("name", ["app.kubernetes.io/name", "monitoring.freeagentics.io/stack"])
def test_labels_of_ours_are_not_given_by_others(name: str) -> None:
    with pytest.raises(ValidationError, match=f"ruleLabels: {name} belongs to Firewatch"):
        stack(ruleLabels={name: "x"})


def test_its_pace_is_that_of_the_server() -> None:
    pace = pace_of(stack(scrapeInterval="30s", evaluationInterval="20s").spec)
    assert (pace.scrapes.interval.total_seconds(), pace.evaluation.total_seconds()) == (30, 20)
    pace = pace_of(stack().spec)
    assert (pace.scrapes.interval.total_seconds(), pace.evaluation.total_seconds()) == (60, 60)


def test_tests_of_rules_run_with_the_usual_image() -> None:
    job = build_promtool_job(Part(stack(), "t", "rule-tests", "tests"), [], files="f", folder="/f")
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert "prom/prometheus:" in container["image"]


ACCESS: list[tuple[Any, Any, Any]] = [
    ({}, {}, {}),
    (
        {"authorization": {"type": "Token", "credentials": ref("token")}},
        {"httpHeaderName1": "Authorization"},
        {"httpHeaderValue1": "Token of-token"},
    ),
    (
        {"basicAuth": {"username": ref("user"), "password": ref("password")}},
        {},
        {"basicAuthPassword": "of-password"},
    ),
    (
        {"tlsConfig": {"ca": {"secret": ref("ca.crt")}, "serverName": "m"}},
        {"tlsAuthWithCACert": True, "serverName": "m"},
        {"tlsCACert": "of-ca.crt"},
    ),
]


@pytest.mark.parametrize(("access", "settings", "secrets"), ACCESS)
def test_a_grafana_of_the_stack_is_led_to_it(access: Any, settings: Any, secrets: Any) -> None:
    external = {"prometheus": {"url": URL, **access}}
    spec = MonitoringStackSpec.model_validate({"external": external, "visualization": {}})
    found = Stack("shop", "main", "u", spec)
    assert spec.visualization
    files = data_source_files(found, spec.visualization)
    assert files <= named_files(found)
    held = {each: f" of-{each.key}\n".encode() for each in files}
    around = Surroundings("127.0.0.1:1", contents=held)
    sources = build_data_sources(found, spec.visualization, around)
    (source,) = load_yaml(sources.text)["datasources"]
    assert (source["url"], source["uid"], source["isDefault"]) == (URL, "prometheus", True)
    assert source["jsonData"].items() >= settings.items()
    assert source["secureJsonData"] == secrets
    if "basicAuth" in access:
        assert (source["basicAuth"], source["basicAuthUser"]) == (True, "of-user")
    if files:
        missing = Surroundings("127.0.0.1:1", missing=files)
        assert build_data_sources(found, spec.visualization, missing).names == ()


def dashboard(uid: str, folder: str = "", **content: Any) -> Dashboard:
    return Dashboard(uid, uid, folder, json.dumps({"uid": uid, "title": uid, **content}))


def test_a_dashboard_says_whose_it_is_and_in_which_form() -> None:
    owner = stack()
    push = build_push(owner, dashboard("a", tags=["mine", 3]))
    assert push.content["tags"] == ["mine", owner_tag(owner), push.revision]
    assert all(len(tag) <= 50 for tag in push.content["tags"])
    others = [
        build_push(owner, dashboard("a", tags=["mine"])),
        build_push(owner, dashboard("a", "Folder", tags=["mine", 3])),
    ]
    assert len({push.revision, *(each.revision for each in others)}) == 3
    assert build_push(owner, dashboard("a", tags="odd")).content["tags"][0] == owner_tag(owner)
    assert owner_tag(stack(name="other")) != owner_tag(owner)


def test_only_what_differs_is_written() -> None:
    pushes = [build_push(stack(), dashboard(uid)) for uid in ("new", "old", "same")]
    shown = {
        "old": frozenset({"firewatch-revision-0"}),
        "same": frozenset({"x", pushes[2].revision}),
        "gone": frozenset(),
    }
    plan = plan_pushes(pushes, shown)
    assert [push.uid for push in plan.to_write] == ["new", "old"]
    assert [push.uid for push in plan.as_they_are] == ["same"]
    assert plan.to_delete == ["gone"]


def test_only_variables_for_data_sources_are_pointed_at_them() -> None:
    variables = [
        {"type": "datasource", "query": "prometheus", "current": {"value": "prometheus"}},
        {"type": "datasource", "query": "loki"},
        {"type": "query", "query": "prometheus"},
    ]
    source = Source("ours", "", json.dumps({"templating": {"list": variables}}))
    found = json.loads(pointed_at(source, {"prometheus": "metrics"}).text)["templating"]["list"]
    assert found[0]["current"] == {"selected": True, "text": "metrics", "value": "metrics"}
    assert found[1:] == variables[1:]
    assert json.loads(pointed_at(source, {}).text) == json.loads(source.text)
