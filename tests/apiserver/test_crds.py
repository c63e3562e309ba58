"""The CRDs before a real API server: how people apply, explain and list them."""

import json
import time
from pathlib import Path

import pytest

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import CustomKind
from tests.apiserver.conftest import ROOT, Kubectl, KubectlError
from tests.apiserver.examples import EXAMPLES, namespaces_of, objects_of
from tests.apiserver.specs import RESPONSE, build, stack


def test_the_api_server_takes_the_crds_as_structural(kubectl: Kubectl, crds: str) -> None:
    assert crds.count("created") == len(CUSTOM_KINDS)
    for crd in json.loads(kubectl("get", "crd", "-o", "json"))["items"]:
        conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.usefixtures("crds")
def test_client_side_apply_works_again_and_changes_nothing(kubectl: Kubectl) -> None:
    said = kubectl("apply", "-f", str(ROOT / "crds"))
    assert said.count("unchanged") == len(CUSTOM_KINDS)


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=lambda custom: custom.kind)
def test_explain_tells_what_the_models_say(kubectl: Kubectl, custom: CustomKind) -> None:
    explained = eventually(kubectl, "explain", f"{custom.short}.spec")
    for name, field in custom.spec.model_fields.items():
        assert (field.alias or name) in explained


@pytest.mark.usefixtures("crds")
def test_explain_a_nested_field(kubectl: Kubectl) -> None:
    explained = eventually(kubectl, "explain", "mstack.spec.metrics")
    assert "scrapeJobs" in explained
    assert "What is scraped besides Prometheus itself" in explained
    severity = kubectl("explain", "apol.spec.thresholds.severity")
    assert "ENUM:\n    critical\n    warning\n    info" in severity


def eventually(kubectl: Kubectl, *arguments: str) -> str:
    """Run kubectl until it succeeds: the OpenAPI document of a new CRD lags a little."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return kubectl(*arguments)
        except KubectlError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@pytest.mark.usefixtures("crds")
def test_printer_columns_and_category(kubectl: Kubectl, namespace: str) -> None:
    made = build("AutoResponse", RESPONSE, namespace)
    kubectl("apply", "-f", "-", text=json.dumps(made))
    header, row = kubectl("get", "firewatch", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "MODE", "TARGET", "STATE", "READY", "AGE"]
    assert row.split()[1:3] == ["observe", "api"]


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_is_accepted(kubectl: Kubectl, path: Path) -> None:
    objects = objects_of(path.read_text())
    assert objects
    for name in namespaces_of(objects):
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(made))
    kubectl("apply", "--validate=strict", "-f", str(path))


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.usefixtures("crds")
def test_kubectl_refuses_a_typing_error_by_default(kubectl: Kubectl) -> None:
    mistyped = build("MonitoringStack", {"metric": {}}, "default")
    with pytest.raises(KubectlError, match=r'unknown field "spec\.metric"'):
        kubectl("apply", "-f", "-", text=json.dumps(mistyped))


@pytest.mark.usefixtures("crds")
def test_two_managers_share_a_list_of_named_things(kubectl: Kubectl, namespace: str) -> None:
    def apply_jobs(manager: str, *names: str) -> list[str]:
        jobs = [{"name": name, "targets": [f"{name}:80"]} for name in names]
        text = json.dumps(build("MonitoringStack", stack(scrapeJobs=jobs), namespace))
        kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", text=text)
        found = json.loads(kubectl("get", "mstack", "x", "-n", namespace, "-o", "json"))
        return sorted(entry["name"] for entry in found["spec"]["metrics"]["scrapeJobs"])

    apply_jobs("team-a", "a", "both")
    assert apply_jobs("team-b", "b", "both") == ["a", "b", "both"]
    assert apply_jobs("team-a", "a") == ["a", "b", "both"]
    assert apply_jobs("team-b", "b") == ["a", "b"]
