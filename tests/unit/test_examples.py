"""The examples, as far as that needs no API server."""

import re
from pathlib import Path

import pytest
import yaml

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import API_VERSION, Object

ROOT = Path(__file__).parents[2]
MODELS = {custom.kind: custom.spec for custom in CUSTOM_KINDS}
RUNBOOK = ROOT / "docs/reference/runbook.md"


def load(path: Path) -> list[Object]:
    return [found for found in yaml.safe_load_all(path.read_text()) if found]


def runbook_block(heading: str) -> tuple[str, Object]:
    """Return the YAML or JSON block below a heading of the runbook, as text and as data."""
    pattern = rf"^#### {re.escape(heading)}\n```(?:yaml|json)\n(.*?)^```"
    match = re.search(pattern, RUNBOOK.read_text(), re.MULTILINE | re.DOTALL)
    assert match, heading
    return match[1], yaml.safe_load(match[1])


@pytest.mark.parametrize(
    "path", sorted((ROOT / "examples").rglob("*.yaml")), ids=lambda path: path.name
)
def test_the_models_take_every_example(path: Path) -> None:
    for found in load(path):
        if found["apiVersion"] == API_VERSION:
            MODELS[found["kind"]].model_validate(found["spec"])


def test_the_runbooks_rules_are_an_example_word_for_word() -> None:
    path = ROOT / "examples/alertpolicy-runbook.yaml"
    text, data = runbook_block("Alert Rules")
    (policy,) = load(path)
    assert policy["spec"]["groups"] == data["groups"]
    example = [line.strip() for line in path.read_text().splitlines()]
    for line in text.splitlines()[1:]:
        assert line.strip() in example


def test_the_runbooks_scrape_jobs_are_an_example() -> None:
    _, data = runbook_block("Prometheus Configuration")
    (stack,) = load(ROOT / "examples/monitoringstack-runbook.yaml")
    metrics = stack["spec"]["metrics"]
    assert metrics["scrapeInterval"] == data["global"]["scrape_interval"]
    assert metrics["evaluationInterval"] == data["global"]["evaluation_interval"]
    expected = [
        {
            "name": job["job_name"],
            "targets": job["static_configs"][0]["targets"],
            "path": job["metrics_path"],
            "interval": job["scrape_interval"],
        }
        for job in data["scrape_configs"]
        if job["job_name"] not in ("prometheus", "node")
    ]
    assert metrics["scrapeJobs"] == expected
    assert stack["spec"]["exporters"]["node"] == {}
