"""The Helm chart: what it renders, what it refuses, what it says; by Helm 3 and Helm 4 alike."""

import re
import shutil
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import GROUP
from tests.golden.rendering import CASES, CHART, KUBERNETES, ROOT, Helm, Object, name_of, of_kind


def test_lint(helm: Helm, values: Path) -> None:
    result = helm.run("lint", "--strict", CHART, "--values", values, *KUBERNETES)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[WARNING]" not in result.stdout


def test_rendered(
    helm: Helm, case: str, values: Path, check_golden: Callable[[Path, str], None]
) -> None:
    # One file for both Helms. The CRDs are compared with their source below; here they would hide
    # everything else.
    check_golden(
        CASES / f"{case}.yaml", helm.template("--values", values, "--set", "crds.install=false")
    )


# CRDs


def test_crds_are_those_generated_and_stay_on_uninstall(objects: list[Object]) -> None:
    crds = {name_of(item): item for item in of_kind(objects, "CustomResourceDefinition")}
    assert sorted(crds) == sorted(f"{custom.plural}.{GROUP}" for custom in CUSTOM_KINDS)
    for path in (CHART / "files" / "crds").glob("*.yaml"):
        source = yaml.safe_load(path.read_text())
        rendered = crds[name_of(source)]
        assert rendered["spec"] == source["spec"]
        assert rendered["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
        assert rendered["metadata"]["annotations"].items() >= (
            source["metadata"].get("annotations", {}).items()
        )


def test_crds_can_be_left_out(helm: Helm) -> None:
    assert not of_kind(helm.objects("--set", "crds.install=false"), "CustomResourceDefinition")


@pytest.mark.parametrize("missing", ["files/rbac.yaml", "files/crds", "files/fence.yaml"])
def test_chart_without_its_generated_files_says_what_to_do(
    helm: Helm, tmp_path: Path, missing: str
) -> None:
    chart = shutil.copytree(CHART, tmp_path / "firewatch")
    place = chart / missing
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    result = helm.run("template", "firewatch", chart, *KUBERNETES)
    assert result.returncode != 0
    assert "run `make generate`" in result.stderr
    assert missing in result.stderr


# Values


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("replicas=0", "at '/replicas': minimum: got 0, want 1"),
        ("replicas=6", "at '/replicas': maximum: got 6, want 5"),
        ("stacks.namespace=demo", "at '/stacks': additional properties 'namespace' not allowed"),
        ("stacks.namespaces=demo", "at '/stacks/namespaces': got string, want array"),
        ("stacks.namespaces={Demo}", "at '/stacks/namespaces/0': 'Demo' does not match"),
        ("stacks.namespaces={demo,demo}", "at '/stacks/namespaces': items at 0 and 1 are equal"),
        ("targets.namespaces={*,demo}", "at '/targets/namespaces': maxItems: got 2, want 1"),
        ("targets.namespaces={demo-*}", "at '/targets/namespaces/0': 'demo-*' does not match"),
        (
            "targets.extraKinds[0].kind=Deployment",
            "at '/targets/extraKinds/0': missing properties 'group', 'resource'",
        ),
        (
            (
                "targets.extraKinds[0].kind=Rollout,targets.extraKinds[0].group=a,"
                "targets.extraKinds[0].resource=rollouts"
            ),
            "at '/targets/extraKinds/0/kind'",
        ),
        (
            (
                "targets.extraKinds[0].kind=A,targets.extraKinds[0].group=a,"
                "targets.extraKinds[0].resource=as,targets.extraKinds[1].kind=A,"
                "targets.extraKinds[1].group=b,targets.extraKinds[1].resource=as"
            ),
            "targets.extraKinds has A twice",
        ),
        ("clusterStacks.namespaces={*}", "at '/clusterStacks/namespaces/0': '*' does not match"),
        ("clusterStacks.namespaces={demo}", "demo is not in stacks.namespaces"),
        ("image.repository=", "at '/image/repository': minLength"),
        ("image.repository=firewatch:1.0", "at '/image/repository': 'firewatch:1.0' does not"),
        ("image.digest=0123", "at '/image/digest': '0123' does not match"),
        ("image.pullPolicy=Sometimes", "at '/image/pullPolicy': value must be one of"),
        ("receiver.port=80", "at '/receiver/port': minimum: got 80, want 1,024"),
        ("receiver.port=8080", "receiver.port and health.port are both 8080"),
        ("workers=0", "at '/workers': minimum: got 0, want 1"),
        ("resources.limits.memory=lots", "at '/resources/limits/memory': 'lots' does not match"),
        ("resources.limits.gpu=1", "at '/resources/limits': additional properties 'gpu' not"),
        ("podLabels.-team=a", "at '/podLabels': additional properties '-team' not allowed"),
        ("commonLabels.team=a b", "at '/commonLabels/team': 'a b' does not match"),
        ("affinity.pod=x", "at '/affinity': additional properties 'pod' not allowed"),
        ("fullnameOverride=Not_a_name", "at '/fullnameOverride': 'Not_a_name' does not match"),
    ],
)
def test_bad_value_is_refused_by_name(helm: Helm, setting: str, said: str) -> None:
    assert said in helm.refusal(setting)


def test_every_listed_object_of_the_schema_is_closed() -> None:
    def closed(node: Any, path: str) -> Iterator[str]:
        if isinstance(node, dict):
            if "properties" in node and node.get("type") == "object":
                assert node.get("additionalProperties") is False, path
                yield path
            for key, child in node.items():
                yield from closed(child, f"{path}/{key}")

    schema = yaml.safe_load((CHART / "values.schema.json").read_text())
    assert len([*closed(schema, "")]) > 5


def test_readme_lists_every_value() -> None:
    text = (CHART / "README.md").read_text().partition("## Values")[2]
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    listed = {name for cell in cells for name in re.findall(r"`([^`]+)`", cell)}

    def names(prefix: str, value: Any) -> Iterator[str]:
        if prefix != "resources." and isinstance(value, dict) and value:
            for key, child in value.items():
                yield from names(f"{prefix}{key}.", child)
        else:
            yield prefix.removesuffix(".")

    assert listed == {*names("", yaml.safe_load((CHART / "values.yaml").read_text()))}


def test_versions_are_those_of_the_package() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == (version, version)


# What Helm says after installing


def notes(helm: Helm, tmp_path: Path, *settings: str) -> str:
    """Render NOTES.txt, which `helm template` leaves out, by a template that includes it."""
    chart = shutil.copytree(CHART, tmp_path / "firewatch")
    text = '{{ include (print .Template.BasePath "/NOTES.txt") . | toJson }}'
    (chart / "templates" / "show.yaml").write_text(f"text: {text}\n")
    sets = [argument for setting in settings for argument in ("--set", setting)]
    shown = helm.template("--show-only", "templates/show.yaml", *sets, chart=chart)
    said: str = yaml.safe_load(shown)["text"]
    return said


def test_notes_warn_when_nothing_is_granted(helm: Helm, tmp_path: Path) -> None:
    said = notes(helm, tmp_path)
    assert "WARNING: stacks.namespaces is empty" in said
    assert "WARNING: targets.namespaces is empty" in said
    assert "WARNING: the image localhost/firewatch/operator:" in said


def test_notes_tell_what_was_granted_where(helm: Helm, tmp_path: Path) -> None:
    settings = ("image.repository=registry.example/f", "stacks.namespaces={shop,platform}")
    said = notes(helm, tmp_path, *settings, "targets.namespaces={*}")
    assert "WARNING" not in said
    assert re.search(r"in shop +run MonitoringStacks", said)
    assert re.search(r"in platform +run MonitoringStacks", said)
    assert re.search(r"in EVERY namespace +scale Deployments, StatefulSets, Rollouts for", said)
    assert "restart" not in said.partition("Next:")[0]
    assert "run `firewatch release -n firewatch --deployment firewatch` before" in said


def test_notes_tell_what_else_is_granted(helm: Helm, tmp_path: Path) -> None:
    further = "targets.extraKinds[0].group=a,targets.extraKinds[0].kind=Farm"
    settings = ("targets.namespaces={shop}", "targets.restart=true", "sources.namespaces={shop}")
    said = notes(helm, tmp_path, *settings, f"{further},targets.extraKinds[0].resource=farms")
    assert re.search(r"in shop +scale Deployments, StatefulSets, Rollouts, Farm for", said)
    assert re.search(r"where it may scale +restart Deployments and StatefulSets", said)
    assert re.search(r"in shop +get Secrets that AutoResponses name", said)
