"""Builds everything that the golden files hold, from the examples and the cases beside them.

``python -m tests.golden.building`` prints it, so that a test can compare two processes.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import yaml

from firewatch.api.alerting import ConfigMapKey
from firewatch.api.alerts import AlertPolicySpec
from firewatch.api.resource import Object, SecretKeySelector
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.alertmanager_config import Notifications, render_notifications
from firewatch.build.checks import check_groups
from firewatch.build.grafana.data_sources import build_data_sources, data_source_files
from firewatch.build.notifying import Contents, Sources
from firewatch.build.objects import Stack
from firewatch.build.policy_routes import RoutingPolicy
from firewatch.build.references import find_parts
from firewatch.build.rule_tests import (
    TestRun,
    build_test_files,
    build_test_job,
    render_tests,
    revision_of_tests,
)
from firewatch.build.rules import RuleFile, digest, policy_groups, render_rules
from firewatch.build.slots import build_slot, plan_slots
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.build.web import serves_https
from firewatch.build.yaml_text import dump_yaml

HERE = Path(__file__).parent
EXAMPLES = HERE.parents[1] / "examples"
STACKS = HERE / "stack"
RULES = HERE / "rules"
SURROUNDINGS = Surroundings(
    receiver="firewatch-receiver.firewatch.svc:9095",
    cluster_namespaces=("monitoring", "platform"),
    image="registry.example/firewatch/operator:0.1.0",
)

STACK_CASES = {
    "runbook": EXAMPLES / "monitoringstack-runbook.yaml",
    **{path.stem: path for path in sorted(STACKS.glob("*.yaml"))},
}
RULE_CASES = {
    "runbook": EXAMPLES / "alertpolicy-runbook.yaml",
    "team": EXAMPLES / "alertpolicy-routes.yaml",
    "thresholds": EXAMPLES / "alertpolicy-thresholds.yaml",
    "slos": EXAMPLES / "alertpolicy-slos.yaml",
    "tested": EXAMPLES / "alertpolicy-tests.yaml",
    **{path.stem: path for path in sorted(RULES.glob("*.yaml"))},
}


def stack(case: str) -> Stack:
    live = yaml.safe_load(STACK_CASES[case].read_text())
    metadata = live["metadata"]
    spec = MonitoringStackSpec.model_validate(live["spec"])
    uid = metadata.get("uid", "00000000-0000-0000-0000-000000000000")
    return Stack(metadata["namespace"], metadata["name"], uid, spec)


def stack_objects(case: str) -> list[Object]:
    found = stack(case)
    return [*build_shared([found]), *build_stack(found, SURROUNDINGS)]


def sources(found: Stack, policies: Sequence[RoutingPolicy]) -> Sources:
    """Return everything that notification settings refer to."""
    space = found.namespace
    settings = [(space, found.spec), *((policy.namespace, policy.spec) for policy in policies)]
    return Sources(
        secrets={
            (owner, each.name): Contents(each.name, _Anything())
            for owner, spec in settings
            for each in find_parts(spec, SecretKeySelector)
        },
        config_maps={
            (space, each.name): Contents(each.name, {each.key: b'{{ define "mapped" }}x{{ end }}'})
            for each in find_parts(found.spec, ConfigMapKey)
        },
        zones=frozenset({"Europe/Berlin"}),
    )


class _Anything(dict[str, bytes]):
    """A Secret with every key that is asked for."""

    def get(self, _key: str, _default: object = None) -> bytes:
        return b"https://hook.example/secret"


def notifications(case: str) -> Notifications | None:
    found = stack(case)
    if found.spec.alerting is None:
        return None
    policies = [routing_policy("routes")] if case == "alerting" else []
    return render_notifications(found, found.spec.alerting, sources(found, policies), policies)


def data_sources(case: str) -> str | None:
    """Return Grafana's data sources; each credential is called after its Secret and key."""
    found = stack(case)
    wanted = found.spec.visualization
    if wanted is None:
        return None
    refs = data_source_files(found, wanted)
    held = {ref: f"${{{ref.name}}}/{ref.key}\n".encode() for ref in refs}
    return build_data_sources(found, wanted, replace(SURROUNDINGS, contents=held)).text


def routing_policy(case: str) -> RoutingPolicy:
    live = yaml.safe_load(RULE_CASES[case].read_text())
    spec = AlertPolicySpec.model_validate(live["spec"])
    return RoutingPolicy(live["metadata"]["namespace"], live["metadata"]["name"], spec)


def without_configuration(objects: list[Object]) -> str:
    """Return the objects as YAML; the configuration has a golden file of its own."""
    texts = []
    for item in objects:
        shown = item
        if item["kind"] == "ConfigMap":
            shown = {**item, "data": dict.fromkeys(item["data"], "…")}
        texts.append(dump_yaml(shown))
    return "---\n".join(texts)


def configuration(objects: list[Object], key: str = names.CONFIG_KEY) -> str:
    (text,) = (item["data"][key] for item in objects if key in item.get("data", {}))
    return str(text)


def policy_rules(case: str) -> str:
    live = yaml.safe_load(RULE_CASES[case].read_text())
    title = f"{live['metadata']['namespace']}/{live['metadata']['name']}"
    groups = policy_groups(AlertPolicySpec.model_validate(live["spec"]), title)
    return render_rules(groups, check_groups(groups))


def rule_slots() -> list[Object]:
    """Return the rule ConfigMaps of all cases together."""
    files = []
    for case, path in RULE_CASES.items():
        metadata = yaml.safe_load(path.read_text())["metadata"]
        where = (metadata["namespace"], metadata["name"])
        file, slot = names.policy_file(*where), names.policy_slot(*where)
        files.append(RuleFile(file, policy_rules(case), slot))
    slots = plan_slots(files, {}).slots
    return [build_slot(stack("smallest"), slot, slots[slot]) for slot in sorted(slots)]


def test_objects() -> list[Object]:
    """Return what runs the tests of the example."""
    raw = yaml.safe_load(RULE_CASES["tested"].read_text())["spec"]
    tests = AlertPolicySpec.model_validate(raw).tests
    assert tests
    rules = policy_rules("tested")
    run = TestRun("monitoring/tested", revision_of_tests(digest(rules), raw["tests"]))
    found = stack("smallest")
    return [
        build_test_files(found, run, rules, render_tests(tests)),
        build_test_job(found, run),
    ]


def everything() -> Iterator[tuple[Path, str]]:
    """Yield every golden file with the text that it should have."""
    for case in STACK_CASES:
        objects = stack_objects(case)
        yield STACKS / f"{case}.objects.golden", without_configuration(objects)
        yield STACKS / f"{case}.prometheus.golden", configuration(objects)
        if serves_https(stack(case)):
            yield STACKS / f"{case}.web.golden", configuration(objects, names.WEB_CONFIG_KEY)
        if text := data_sources(case):
            yield STACKS / f"{case}.grafana.golden", text
        if told := notifications(case):
            yield STACKS / f"{case}.alertmanager.golden", told.config
        if stack(case).spec.exporters.blackbox:
            text = configuration(objects, names.BLACKBOX_KEY)
            yield STACKS / f"{case}.blackbox.golden", text
        for key in ("journeys.json", "rum.json"):
            if any(key in item.get("data", {}) for item in objects):
                name = key.partition(".")[0]
                yield STACKS / f"{case}.{name}.golden", configuration(objects, key)
    for case in RULE_CASES:
        yield RULES / f"{case}.rules.golden", policy_rules(case)
    yield RULES / "tested.objects.golden", "---\n".join(map(dump_yaml, test_objects()))
    yield RULES / "slots.golden", "---\n".join(map(dump_yaml, rule_slots()))


if __name__ == "__main__":
    for path, text in everything():
        print(path.name, text, sep="\n")
