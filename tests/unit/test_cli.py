"""The program firewatch, as far as that needs no cluster."""

import json
import subprocess
import sys
import tomllib
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.main import get_command
from typer.testing import CliRunner, Result

from firewatch.build.objects import Stack
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from firewatch.runbook import COMMANDS, __main__, release
from firewatch.runbook.cli import APP
from firewatch.runbook.render import UNKNOWN_UID
from tests.unit.test_examples import MODELS, ROOT

OPERATOR = ROOT / "operator"
STACK = str(ROOT / "examples/monitoringstack-runbook.yaml")
RUNBOOK = str(ROOT / "examples/alertpolicy-runbook.yaml")
TESTED = str(ROOT / "examples/alertpolicy-tests.yaml")
POLICY: Any = {
    "apiVersion": "monitoring.freeagentics.io/v1alpha1",
    "kind": "AlertPolicy",
    "metadata": {"name": "a", "namespace": "shop"},
    "spec": {"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up == 0"}]}]},
}


def run(*arguments: str, text: str | None = None) -> Result:
    return CliRunner().invoke(APP, [*arguments], input=text)


def refused(text: str) -> str:
    """Return what is said to a file that is wrong."""
    result = run("render", "-", text=text)
    assert (result.exit_code, result.stdout) == (2, "")
    return result.stderr


def test_the_list_of_commands_is_that_of_the_program() -> None:
    assert sorted(f"firewatch {name}" for name in get_command(APP).commands) == sorted(COMMANDS)  # type: ignore[attr-defined]


def test_rendered_objects_are_those_of_the_operators_builders() -> None:
    granted = ("--cluster-stack-namespace", "monitoring")
    result = run("render", STACK, *granted)
    assert (result.exit_code, result.stderr) == (0, "")
    live = yaml.safe_load(Path(STACK).read_text())
    where = (live["metadata"]["namespace"], live["metadata"]["name"], UNKNOWN_UID)
    stack = Stack(*where, MODELS["MonitoringStack"].model_validate(live["spec"]))  # type: ignore[arg-type]
    around = Surroundings(
        receiver="firewatch-receiver.firewatch.svc:9095", cluster_namespaces=("monitoring",)
    )
    wanted = [*build_shared([stack]), *build_stack(stack, around)]
    shown = [*yaml.safe_load_all(result.stdout)]
    others = {"freeagentics-dashboards"}
    plain = [item for item in shown if item["kind"] != "Secret"]
    assert [item for item in plain if item["metadata"]["name"] not in others] == wanted
    assert json.loads(run("render", STACK, "-o", "json", *granted).stdout)["items"] == shown


def test_policies_become_rule_files_and_their_tests_a_job() -> None:
    objects = [*yaml.safe_load_all(run("render", STACK, RUNBOOK, TESTED).stdout)]
    kinds = [item["kind"] for item in objects]
    assert kinds.count("Job") == 1
    texts = {k: v for o in objects if o["kind"] == "ConfigMap" for k, v in o["data"].items()}
    assert any("HighCPUUsage" in text for name, text in texts.items() if name.startswith("free"))
    assert "JobsFail" in texts["tests.yml"]


def test_one_configuration_file_or_all_can_be_shown() -> None:
    alone = run("render", STACK, "--show", "prometheus.yml").stdout
    assert yaml.safe_load(alone)["global"]["scrape_interval"] == "15s"
    everything = run("render", STACK, RUNBOOK, "--show", "config").stdout
    assert "# monitoring/freeagentics-prometheus-config: prometheus.yml\n" in everything
    assert "alert: HighCPUUsage" in everything
    nothing = run("render", STACK, "--show", "nginx.conf")
    assert nothing.exit_code == 2
    assert "--show config prints all" in nothing.stderr


def test_alertmanagers_configuration_is_shown_with_placeholders_for_credentials() -> None:
    receiver = {"name": "pager", "pagerduty": [{"serviceKey": {"name": "pd", "key": "k"}}]}
    alerting = {"receivers": [receiver], "route": {"receiver": "pager"}}
    spec = {"metrics": {}, "alerting": alerting}
    text = yaml.safe_dump({**POLICY, "kind": "MonitoringStack", "spec": spec})
    result = run("render", "-", "--show", "alertmanager.yml", text=text)
    assert (result.exit_code, result.stderr) == (0, "")
    config = yaml.safe_load(result.stdout)
    assert "pager" in {each["name"] for each in config["receivers"]}
    assert (
        "https://placeholder.invalid/shop/pd/k"
        in run("render", "-", "--show", "config", text=text).stdout
    )


def stack_of(**metrics: Any) -> dict[str, Any]:
    spec = {"metrics": metrics, "exporters": {"kubelet": {}}}
    return {**POLICY, "kind": "MonitoringStack", "spec": spec}


def test_what_reads_the_cluster_is_made_where_it_is_granted_and_else_named() -> None:
    text = yaml.safe_dump(stack_of())
    shown = run("render", "-", "--show", "prometheus.yml", text=text)
    assert shown.exit_code == 1
    assert "job_name: kubelet" not in shown.stdout
    assert "left out: MonitoringStack a: exporters.kubelet left out" in shown.stderr
    assert "if it is there, add --cluster-stack-namespace shop here" in shown.stderr
    options = ("--cluster-stack-namespace=other", "--cluster-stack-namespace=shop")
    granted = run("render", "-", "--show", "prometheus.yml", *options, text=text)
    assert (granted.exit_code, granted.stderr) == (0, "")
    assert "job_name: kubelet" in granted.stdout


RAW = {"additionalScrapeConfigs": {"name": "extra", "key": "jobs.yaml"}}
JOBS = "- job_name: consul\n  consul_sd_configs: [{server: 'c:8500'}]\n"


def secret(**parts: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "extra"}, **parts}


def with_secret(metrics: dict[str, Any], *sources: dict[str, Any], show: str = "objects") -> Result:
    options = ("--cluster-stack-namespace=shop", "--namespace=shop", "--show", show)
    return run("render", "-", *options, text=yaml.safe_dump_all([stack_of(**metrics), *sources]))


@pytest.mark.parametrize(
    "parts",
    [
        {"stringData": {"jobs.yaml": JOBS}},
        {"data": {"jobs.yaml": b64encode(JOBS.encode()).decode()}},
        {"data": {"jobs.yaml": "IQ=="}, "stringData": {"jobs.yaml": JOBS}},
    ],
    ids=["stringData", "data", "both"],
)
def test_jobs_in_prometheus_own_words_are_read_from_a_secret_in_the_files(
    parts: dict[str, Any],
) -> None:
    result = with_secret(RAW, secret(**parts))
    assert (result.exit_code, result.stderr) == (0, "")
    (copied,) = (
        each
        for each in yaml.safe_load_all(result.stdout)
        if each["metadata"]["name"] == "a-prometheus-scrapes"
    )
    ((file, encoded),) = copied["data"].items()
    assert yaml.safe_load(b64decode(encoded))["scrape_configs"] == yaml.safe_load(JOBS)
    config = yaml.safe_load(with_secret(RAW, secret(**parts), show="prometheus.yml").stdout)
    assert [Path(path).name for path in config["scrape_config_files"]] == [file]


def test_jobs_of_a_secret_that_is_not_in_the_files_are_said_not_to_be_shown() -> None:
    for other in ([], [secret(metadata={"name": "extra", "namespace": "other"})]):
        result = with_secret(RAW, *other)
        assert result.exit_code == 0
        assert result.stderr == (
            "not shown: MonitoringStack a: additionalScrapeConfigs: the jobs in key jobs.yaml of Secret"
            " extra; add a file with the Secret to see them\n"
        )


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({}, "key jobs.yaml of Secret extra is missing; create it"),
        ({"data": {"jobs.yaml": ""}}, "key jobs.yaml of Secret extra is missing; create it"),
        ({"data": {"jobs.yaml": "/w=="}}, "it is not text; it is left out"),
        (
            {"stringData": {"jobs.yaml": "- a: 1"}},
            "job 1 has a field that Prometheus does not know",
        ),
    ],
)
def test_a_secret_in_the_files_without_what_the_stack_needs_is_named(
    parts: dict[str, Any], said: str
) -> None:
    result = with_secret(RAW, secret(**parts))
    assert result.exit_code == 1
    assert result.stderr.startswith("left out: MonitoringStack a: additionalScrapeConfigs: ")
    assert said in result.stderr


def test_grafanas_data_sources_and_dashboards_are_shown() -> None:
    marked = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": "theirs",
            "labels": {"grafana_dashboard": "1"},
            "annotations": {"grafana_folder": "Team"},
        },
        "data": {"a.json": '{"title": "A", "uid": "a"}', "b.json": "{"},
    }
    source = {"name": "s", "type": "t", "secureJsonData": {"token": {"name": "extra", "key": "k"}}}
    grafana = {
        **stack_of(),
        "spec": {"metrics": {}, "packs": {}, "visualization": {"dataSources": [source]}},
    }
    text = yaml.safe_dump_all([grafana, marked, secret(stringData={"k": "opensesame"})])
    result = run("render", "-", "--namespace=shop", text=text)
    assert "key b.json of ConfigMap theirs: it is no JSON" in result.stderr
    objects = {each["metadata"]["name"]: each for each in yaml.safe_load_all(result.stdout)}
    (file,) = objects["a-grafana-sources"]["data"].values()
    sources = yaml.safe_load(b64decode(file))["datasources"]
    assert [each["name"] for each in sources] == ["Prometheus", "s"]
    assert sources[1]["secureJsonData"] == {"token": "opensesame"}
    slots = [each for name, each in objects.items() if name.startswith("a-dashboards-")]
    folders = {slot["metadata"]["annotations"].popitem()[1]: {*slot["data"]} for slot in slots}
    assert folders["Team"] == {"a.json"}
    assert "firewatch-overview.json" in folders["Firewatch"]


def test_a_certificate_is_missing_only_where_its_object_is_given_without_it() -> None:
    tls = {"ca": {"configMap": {"name": "extra", "key": "ca.crt"}}}
    job = {"name": "j", "targets": ["a:1"], "scheme": "https", "tlsConfig": tls}
    authority = {**secret(), "kind": "ConfigMap"}
    for given, kept in (
        ([], True),
        ([{**authority, "data": {"ca.crt": "x"}}], True),
        ([authority], False),
    ):
        result = with_secret({"scrapeJobs": [job]}, *given, show="prometheus.yml")
        assert ("job_name: j\n" in result.stdout) is kept
        assert ("key ca.crt of ConfigMap extra is missing; create it" in result.stderr) is not kept


def test_what_would_be_left_out_is_named() -> None:
    bad = {"alert": "B", "expr": "up", "annotations": {"x": "{{ nosuch }}"}}
    policy = {**POLICY, "spec": {"groups": [{"name": "g", "rules": [bad]}]}}
    stack = {**POLICY, "kind": "MonitoringStack", "spec": {"metrics": {}}}
    result = run("render", "-", text=yaml.safe_dump_all([policy, stack]))
    assert result.exit_code == 1
    assert "standard input, document 1: group g, rule 0 (B): BadTemplate" in result.stderr
    alone = run("render", "-", text=yaml.safe_dump(POLICY))
    assert alone.exit_code == 1
    assert "there is no MonitoringStack in this namespace" in alone.stderr
    empty = run("render", "-", text=yaml.safe_dump_all([POLICY, {**stack, "spec": {}}]))
    assert "has no Prometheus to run rules; give it spec.metrics" in empty.stderr


def retention(name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": "shop"}
    return {**POLICY, "kind": "RetentionPolicy", "metadata": metadata, "spec": spec}


def with_retention(*policies: dict[str, Any], **metrics: Any) -> tuple[dict[str, Any], str]:
    """Return the retention that Prometheus would be told, and what is said about policies."""
    stack = {**POLICY, "kind": "MonitoringStack", "spec": {"metrics": metrics}}
    text = yaml.safe_dump_all([stack, *policies])
    result = run("render", "-", "--show", "prometheus.yml", text=text)
    return yaml.safe_load(result.stdout)["storage"]["tsdb"]["retention"], result.stderr


def test_a_retention_policy_wins_over_the_stack_as_in_the_cluster() -> None:
    own = {"retention": {"time": "15d"}, "storage": {"size": "10Gi"}}
    assert with_retention(**own) == ({"time": "15d"}, "")
    policy = retention("long", metrics={"time": "90d", "percentage": 50})
    assert with_retention(policy, **own) == ({"time": "90d", "size": "5120MB"}, "")


def test_a_retention_policy_that_no_stack_follows_is_named() -> None:
    days = {"time": "90d"}
    kept, said = with_retention(retention("a", metrics=days), retention("b", metrics=days))
    assert kept["time"] != "90d"
    assert (
        "document 2: RetentionPolicy a: MonitoringStack a has another RetentionPolicy (b)" in said
    )
    assert (
        "document 3: RetentionPolicy b: MonitoringStack a has another RetentionPolicy (a)" in said
    )
    elsewhere = retention("a", metrics=days, stackRef={"name": "other"})
    assert "there is no MonitoringStack other" in with_retention(elsewhere)[1]
    assert (
        "has no volume to take a share"
        in with_retention(retention("a", metrics={"percentage": 50}))[1]
    )


def changed(**fields: Any) -> str:
    return yaml.safe_dump({**POLICY, **fields})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [", "standard input: it is not YAML"),
        ("- a", "document 1: it is no Kubernetes resource"),
        (changed(kind="AlertPolicies"), "no kind AlertPolicies"),
        (changed(apiVersion="monitoring.freeagentics.io/v1"), "no kind AlertPolicy in"),
        (changed(metadata={"name": "A"}), "metadata.name: give it a name"),
        (changed(metadata={}), "metadata.name: give it a name"),
        (changed(specs={}), "document 1: specs: unknown field"),
        (changed(spec=None), "document 1: spec: "),
        (
            changed(spec={"group": []}),
            "document 1: spec.group: unknown field; did you mean groups?",
        ),
        (
            changed(spec={"thresholds": [{"signal": "cpu", "above": 101}]}),
            "spec.thresholds[0].above: input should be less than or equal to 100; correct it",
        ),
        (
            changed(spec={"thresholds": [{"signal": "disk", "above": 1}]}),
            "spec.thresholds[0]: the signal disk takes below",
        ),
        (
            changed(spec={"groups": [{"name": "g", "rules": [{"alerts": "A"}]}]}),
            "spec.groups[0].rules[0].alerts: unknown field; did you mean alert?",
        ),
        (
            yaml.safe_dump(
                {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "s"}, "data": [1]}
            ),
            "document 1: data: give it keys with texts",
        ),
        (
            yaml.safe_dump(secret(data={"a": "IQ==", "b": "plain text"})),
            "document 1: b: not base64; encode it, or put the text under stringData",
        ),
        ("kind: Pod\napiVersion: v1\n", "no resource of Firewatch is in these files"),
        (yaml.safe_dump_all([POLICY, POLICY]), "AlertPolicy a is in standard input, document 1"),
    ],
)
def test_wrong_input_names_file_document_field_and_remedy(text: str, said: str) -> None:
    assert said in refused(text)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(changed(spec={"group": [], "threshold": []}))
    (tmp_path / "b.yml").write_bytes(b"\xff")
    result = run("lint", str(tmp_path), str(tmp_path / "missing.yaml"))
    assert result.exit_code == 2
    lines = result.stderr.splitlines()
    assert len(lines) == 4
    assert all(line.startswith(f"error: {tmp_path}") for line in lines)


def test_a_list_is_read_item_by_item() -> None:
    bad = {**POLICY, "metadata": {"name": "b"}, "spec": {"x": 1}}
    text = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": [POLICY, bad]})
    assert "document 1, items[1]: spec.x: unknown field" in refused(text)


def test_lint_says_what_could_be_better_in_every_form() -> None:
    rows = json.loads(run("lint", RUNBOOK, "-o", "json").stdout)
    assert {row["code"] for row in rows} == {
        "DetectionBudgetExceeded",
        "NoRunbook",
        "VaryingName",
    }
    assert yaml.safe_load(run("lint", RUNBOOK, "-o", "yaml").stdout) == rows
    table = run("lint", RUNBOOK)
    assert table.exit_code == 1
    assert len(table.stdout.splitlines()) == len(rows) + 1
    markdown = run("lint", RUNBOOK, "-o", "markdown").stdout.splitlines()
    assert len(markdown) == len(rows) + 2
    assert run("lint", TESTED).exit_code == 0


def test_lint_knows_the_scrape_interval_of_the_stack_in_the_files() -> None:
    rule = {"alert": "A", "expr": "rate(app_x_total[1m])"}
    policy = {**POLICY, "spec": {"groups": [{"name": "g", "rules": [rule]}]}}
    stack = {**POLICY, "kind": "MonitoringStack", "spec": {"metrics": {"scrapeInterval": "30s"}}}
    for documents, short in (([policy], False), ([policy, stack], True)):
        said = run("lint", "-", "-o", "json", text=yaml.safe_dump_all(documents)).stdout
        assert ("ShortRateWindow" in said) is short


def test_both_names_of_the_program_are_installed() -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    entry = "firewatch.runbook.__main__:main"
    assert {name for name, target in scripts.items() if target == entry} == {
        "firewatch",
        "kubectl-firewatch",
    }


@pytest.mark.parametrize(
    ("program", "shown"), [("firewatch", "firewatch"), ("kubectl-firewatch", "kubectl firewatch")]
)
def test_the_help_shows_the_name_by_which_it_was_called(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], program: str, shown: str
) -> None:
    monkeypatch.setattr(sys, "argv", [f"/usr/bin/{program}", "--help"])
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == 0
    assert f"Usage: {shown} " in capsys.readouterr().out


def test_release_says_what_is_wrong_without_a_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/nowhere")
    result = run("release")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("left: no cluster is known: ")


def test_release_runs_in_the_operators_image_which_has_no_command_line() -> None:
    code = "import sys; sys.modules |= dict.fromkeys(('typer', 'rich')); import " + release.__name__
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": str(OPERATOR)})
