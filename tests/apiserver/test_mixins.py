"""The community's own rules, read from the Go modules that carry them: taken as they are.

Nothing of theirs is kept here. kubernetes-mixin itself is not to be had as a Go module; its rules
are in a release of prometheus-operator from the time when that shipped them compiled.
"""

import json
import subprocess
from collections.abc import Mapping

import aiohttp
import pytest
import yaml

from e2e.cluster.programs import program
from e2e.cluster.progress import SilentProgress
from firewatch.api.resource import Object
from firewatch.build import names
from tests.apiserver.modules import module_folder
from tests.apiserver.scene import Scene

pytestmark = pytest.mark.usefixtures("crds", "role")

Groups = list[Object]

_MIXINS: Mapping[str, tuple[str, str, tuple[str, ...]]] = {
    "node": (
        "github.com/prometheus/node_exporter@v1.12.1",
        "docs/node-mixin",
        ("config", "alerts/alerts", "rules/rules"),
    ),
    "prometheus": (
        "github.com/prometheus/prometheus@v0.313.2",
        "documentation/prometheus-mixin",
        ("config", "alerts"),
    ),
    "alertmanager": (
        "github.com/prometheus/alertmanager@v0.34.2",
        "doc/alertmanager-mixin",
        ("config", "alerts"),
    ),
    "kube-state-metrics": (
        "k8s.io/kube-state-metrics/v2@v2.18.0",
        "jsonnet/kube-state-metrics-mixin",
        ("config", "alerts"),
    ),
}
_KUBERNETES = "github.com/coreos/prometheus-operator@v0.29.0"
_KUBERNETES_FILE = "contrib/kube-prometheus/manifests/prometheus-rules.yaml"


def mixin_groups(name: str) -> Groups:
    """Return the alerting and recording rules that a mixin's jsonnet makes."""
    module, folder, files = _MIXINS[name]
    mixin = " + ".join(f'(import "{file}.libsonnet")' for file in files)
    text = (
        f"local m = {{prometheusAlerts+:: {{}}, prometheusRules+:: {{}}}} + {mixin};"
        " std.get(m.prometheusAlerts, 'groups', []) + std.get(m.prometheusRules, 'groups', [])"
    )
    jsonnet = program("jsonnet", SilentProgress())
    source = module_folder(module) / folder
    groups: Groups = json.loads(subprocess.check_output([jsonnet, "-e", text], cwd=source))
    return groups


def kubernetes_groups() -> Groups:
    path = module_folder(_KUBERNETES) / _KUBERNETES_FILE
    groups: Groups = yaml.safe_load(path.read_text(encoding="utf-8"))["spec"]["groups"]
    return groups


async def loaded(scene: Scene) -> dict[str, int]:
    """Return how many rules of each group Prometheus runs."""
    url = f"http://{scene.node.address}:{names.PROMETHEUS_PORT}/api/v1/rules"
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        groups = (await answer.json())["data"]["groups"]
    return {g["name"]: len(g["rules"]) for g in groups if g["name"] != "firewatch:marker"}


@pytest.mark.parametrize("name", ["kubernetes", *_MIXINS])
async def test_the_communitys_rules_are_accepted_and_loaded_without_change(
    ready: Scene, name: str
) -> None:
    groups = kubernetes_groups() if name == "kubernetes" else mixin_groups(name)
    total = sum(len(group["rules"]) for group in groups)
    assert total
    policy = ready.policy(name)
    policy["spec"]["groups"] = groups
    ready.apply(policy)
    found = await ready.until(name, "Loaded", "Loaded", seconds=40)
    assert found["Ready"] == ("True", "Ready")
    assert await loaded(ready) == {group["name"]: len(group["rules"]) for group in groups}
    print(f"{name}: {total} rules in {len(groups)} groups")
