"""What Prometheus' own tool says about everything that is built."""

import random
import re
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.cluster.certificates import self_signed
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build import names
from firewatch.build.config_check import read_complaint
from firewatch.build.objects import Stack
from firewatch.build.raw_scrapes import parse_raw_scrapes
from firewatch.build.scrape import render_prometheus_config, without_raw_scrapes
from firewatch.build.template_lexer import TemplateError
from firewatch.build.templates import check_template
from firewatch.build.yaml_text import dump_yaml
from tests.golden import building
from tests.golden.test_stack import GOLDEN

Promtool = Callable[..., subprocess.CompletedProcess[str]]


@pytest.mark.parametrize("case", building.STACK_CASES)
def test_the_configurations_are_good(promtool: Promtool, tmp_path: Path, case: str) -> None:
    path = tmp_path / "prometheus.yml"
    path.write_text(GOLDEN[building.STACKS / f"{case}.prometheus.golden"])
    result = promtool("check", "config", "--syntax-only", path)
    assert result.returncode == 0, result.stderr


def test_the_web_configuration_is_good(promtool: Promtool, tmp_path: Path) -> None:
    text = GOLDEN[building.STACKS / "web.web.golden"]
    pair = self_signed(tmp_path, "web", names=["metrics.shop.example"])
    (tmp_path / "secret/web-tls").mkdir(parents=True)
    pair.certificate.rename(tmp_path / "secret/web-tls/tls.crt")
    pair.key.rename(tmp_path / "secret/web-tls/tls.key")
    path = tmp_path / "web.yml"
    path.write_text(text.replace(names.FILES_DIRECTORY, str(tmp_path)))
    result = promtool("check", "web-config", path)
    assert result.returncode == 0, result.stderr
    (tmp_path / "secret/web-tls/tls.key").unlink()
    assert promtool("check", "web-config", path).returncode != 0


def test_jobs_in_the_users_own_words_are_read_beside_ours(
    promtool: Promtool, tmp_path: Path
) -> None:
    jobs = "- job_name: 007\n  static_configs: [{targets: ['a:1'], labels: {on: yes, at: 12:30}}]\n"
    raw = parse_raw_scrapes(jobs, version="1", taken=())
    source = {"name": "extra", "key": "jobs"}
    spec = MonitoringStackSpec.model_validate({"metrics": {"additionalScrapeConfigs": source}})
    assert spec.metrics
    around = replace(building.SURROUNDINGS, raw_scrapes=raw)
    text = render_prometheus_config(Stack("shop", "main", "u", spec), spec.metrics, around)
    without = without_raw_scrapes(text)
    assert without is not None
    assert yaml.safe_load(without).keys() == yaml.safe_load(text).keys() - {"scrape_config_files"}
    # The paths that are checked to be there are those of this folder, and only of further files.
    config = yaml.safe_load(text.replace(names.RAW_SCRAPES_DIRECTORY, str(tmp_path)))
    del config["rule_files"], config["alerting"]
    path = tmp_path / "prometheus.yml"
    path.write_text(dump_yaml(config))
    for content, status in ((raw.text, 0), (raw.text.replace("targets", "target"), 1)):
        (tmp_path / raw.file).write_text(content)
        result = promtool("check", "config", path)
        assert result.returncode == status, result.stderr


def test_a_complaint_is_found_in_what_promtool_says(promtool: Promtool, tmp_path: Path) -> None:
    path = tmp_path / names.REFUSED_KEY
    path.write_text("global:\n  scrape_interval: never\n")
    result = promtool("check", "config", "--syntax-only", path)
    complaint = read_complaint(result.stdout + result.stderr)
    assert complaint.startswith("parsing YAML file")
    assert 'not a valid duration string: "never"' in complaint


@pytest.mark.parametrize("case", building.RULE_CASES)
def test_the_rules_are_good(promtool: Promtool, tmp_path: Path, case: str) -> None:
    path = tmp_path / "rules.yml"
    path.write_text(GOLDEN[building.RULES / f"{case}.rules.golden"])
    result = promtool("check", "rules", "--lint=none", path)
    assert result.returncode == 0, result.stderr


def test_the_slots_are_good(promtool: Promtool, tmp_path: Path) -> None:
    paths = []
    for slot in building.rule_slots():
        for name, text in slot["data"].items():
            paths.append(tmp_path / name)
            paths[-1].write_text(text)
    result = promtool("check", "rules", "--lint=none", *paths)
    assert result.returncode == 0, result.stderr


def name_of(job: Any) -> str:
    return str(job["name"])


DURATIONS = st.sampled_from(["1ms", "15s", "1m30s", "2h", "1d", "1y2w3d4h5m6s7ms"])
LABELS = st.dictionaries(
    st.from_regex(r"[a-zA-Z_][a-zA-Z0-9_]{0,6}", fullmatch=True), st.text(max_size=20), max_size=3
)
LABEL = st.sampled_from(["a", "__meta_x", "B_1"])
TEXT = st.text(max_size=12)
REGEX = st.sampled_from(["a.*", "", "(?i)x|y", "[a-z]+", "(.+);(.*)"])
SOURCES = st.lists(LABEL, max_size=2)
STEPS: st.SearchStrategy[Any] = st.one_of(
    *(
        st.fixed_dictionaries(
            {"targetLabel": st.sampled_from(["a", "x_$1", "${1}_y", "0$1"])},
            optional={
                "sourceLabels": SOURCES,
                "regex": REGEX,
                "replacement": TEXT,
                "separator": st.text(max_size=3),
            },
        ),
        st.fixed_dictionaries(
            {"action": st.sampled_from(["keep", "drop"])},
            optional={"sourceLabels": SOURCES, "regex": REGEX, "separator": st.text(max_size=3)},
        ),
        st.fixed_dictionaries(
            {
                "action": st.sampled_from(["keepequal", "dropequal", "lowercase", "uppercase"]),
                "sourceLabels": SOURCES,
                "targetLabel": LABEL,
            }
        ),
        st.fixed_dictionaries(
            {"action": st.just("hashmod"), "modulus": st.integers(1, 9), "targetLabel": LABEL}
        ),
        st.fixed_dictionaries(
            {"action": st.just("labelmap")},
            optional={"regex": REGEX, "replacement": st.sampled_from(["$1", "x_${1}", "y"])},
        ),
    ),
)
# Without an address there is no target; Prometheus passes over it, promtool complains.
RELABELINGS = st.lists(STEPS, max_size=3)
DROPS: st.SearchStrategy[Any] = st.builds(
    dict, action=st.sampled_from(["labeldrop", "labelkeep"]), regex=REGEX
)
METRIC_RELABELINGS = st.lists(st.one_of(STEPS, DROPS), max_size=3)
KEY = st.sampled_from([{"name": "login", "key": "a"}, {"name": "b.c", "key": ".d"}])
FILE: st.SearchStrategy[Any] = st.one_of(
    st.builds(dict, secret=KEY), st.builds(dict, configMap=KEY)
)
TLS = st.one_of(
    st.fixed_dictionaries(
        {},
        optional={
            "ca": FILE,
            "serverName": st.just("api.example"),
            "minVersion": st.sampled_from(["TLS10", "TLS11", "TLS12", "TLS13"]),
            "insecureSkipVerify": st.booleans(),
        },
    ),
    st.fixed_dictionaries({"cert": FILE, "keySecret": KEY}),
)
CREDENTIALS: st.SearchStrategy[Any] = st.one_of(
    st.just({}),
    st.builds(dict, authorization=st.builds(dict, credentials=KEY)),
    st.builds(dict, basicAuth=st.builds(dict, username=KEY, password=KEY)),
    st.builds(
        dict,
        oauth2=st.builds(
            dict,
            clientId=st.text(min_size=1, max_size=9),
            clientSecret=KEY,
            tokenUrl=st.just("https://login.example/t"),
            scopes=st.lists(st.text(min_size=1, max_size=9), max_size=2),
            endpointParams=st.dictionaries(TEXT, TEXT, max_size=2),
        ),
    ),
)
SELECTOR = st.sampled_from(
    [
        {},
        {"matchLabels": {"app": "a", "b/c": ""}},
        {"matchExpressions": [{"key": "x", "operator": "NotIn", "values": ["1", "2"]}]},
        {"matchExpressions": [{"key": "x", "operator": "DoesNotExist"}]},
    ]
)
WHERE: st.SearchStrategy[Any] = st.one_of(
    st.builds(
        dict,
        targets=st.lists(
            st.sampled_from(["api:8000", "api", "[::1]:9", "10.0.0.1:80"]), min_size=1, max_size=3
        ),
    ),
    st.builds(dict, serviceSelector=SELECTOR, port=st.sampled_from(["http", "80"])),
    st.builds(dict, podSelector=SELECTOR, port=st.just("http"), namespaces=st.just(["shop"])),
)


def merged(parts: tuple[Any, ...]) -> Any:
    return {name: value for part in parts for name, value in part.items()}


PLAIN_JOBS: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {
        "name": st.from_regex(r"[a-z][a-z0-9_-]{0,6}", fullmatch=True).filter(
            lambda name: name not in {"node", "prometheus"}
        ),
    },
    optional={
        "tlsConfig": TLS,
        "params": st.dictionaries(
            st.from_regex(r"[a-z\[\]]{1,4}", fullmatch=True), st.lists(TEXT, max_size=2), max_size=2
        ),
        "sampleLimit": st.integers(1, 10**8),
        "labelValueLengthLimit": st.integers(1, 10**6),
        "honorLabels": st.booleans(),
        "honorTimestamps": st.booleans(),
        "fallbackScrapeProtocol": st.sampled_from(["PrometheusProto", "OpenMetricsText1.0.0"]),
        "relabelings": RELABELINGS,
        "metricRelabelings": METRIC_RELABELINGS,
        "path": st.from_regex(r"/[^\s?#]{0,8}", fullmatch=True),
        "scheme": st.sampled_from(["http", "https"]),
        "interval": DURATIONS,
        "labels": LABELS,
    },
)
JOBS = st.tuples(PLAIN_JOBS, WHERE, CREDENTIALS).map(merged)
REMOTES = st.tuples(
    st.fixed_dictionaries(
        {
            "url": st.just("https://a.example/write"),
            "name": st.from_regex(r"[a-z0-9][a-z0-9_-]{0,6}", fullmatch=True),
        },
        optional={
            "tlsConfig": TLS,
            "headers": st.dictionaries(st.sampled_from(["X-A", "x-b"]), st.just("v"), max_size=2),
            "secretHeaders": st.dictionaries(st.sampled_from(["X-C", "x-d"]), KEY, max_size=2),
            "remoteTimeout": DURATIONS,
            "sendExemplars": st.booleans(),
            "sendNativeHistograms": st.booleans(),
            "writeRelabelings": METRIC_RELABELINGS,
            "queueConfig": st.fixed_dictionaries(
                {},
                optional={
                    "capacity": st.integers(1, 10**6),
                    "maxSamplesPerSend": st.integers(1, 10**6),
                    "batchSendDeadline": DURATIONS,
                    "retryOnRateLimit": st.booleans(),
                },
            ),
        },
    ),
    CREDENTIALS,
).map(merged)
METRICS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(1, 3),
        "remoteWrite": st.lists(REMOTES, max_size=2, unique_by=name_of),
        "scrapeInterval": DURATIONS,
        "evaluationInterval": DURATIONS,
        "externalLabels": LABELS,
        "retention": st.fixed_dictionaries(
            {}, optional={"time": DURATIONS, "size": st.sampled_from(["1MB", "40GB", "3PB"])}
        ),
        "scrapeJobs": st.lists(JOBS, max_size=3, unique_by=name_of),
    },
)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(METRICS)
def test_any_metrics_block_gives_a_good_configuration(
    promtool: Promtool, tmp_path: Path, metrics: Any
) -> None:
    spec = MonitoringStackSpec.model_validate({"metrics": metrics, "exporters": {"node": {}}})
    assert spec.metrics
    path = tmp_path / "prometheus.yml"
    stack = Stack("shop", "a", "u", spec)
    path.write_text(render_prometheus_config(stack, spec.metrics, building.SURROUNDINGS))
    result = promtool("check", "config", "--syntax-only", path)
    assert result.returncode == 0, f"{result.stderr}\n{path.read_text()}"


PIECES = (
    *("{{", "}}", "{{-", " -}}", "{{ ", " }}", " ", "  ", "\n", "text", "é", "%", "+", ","),
    *("if", "else", "end", "range", "with", "define", "block", "template", "break", "continue"),
    *("nil", "true", "false", ".", "..", "$", "$labels", "$value", "$x", ".Labels", ".instance"),
    *("|", "(", ")", ":=", "=", '"a"', '"', "`x`", "`", "'c'", "'", "''", "'ab'", "'\\n'"),
    *('"\\n"', '"\\q"', '"\\x41"', '"\\u00e9"', '"\\101"', '"\\400"', "'\\\"'"),
    *("1", "0x1F", "1e3", "089", "1_0", "0b1", "1.5i", "1+2i", "-1", "01", ".5", "0x", "1."),
    *("99999999999999999999", "1e400", "printf", "humanize", "query", "first", "foo", "len"),
    *("/*", "*/", "{{/* c */}}", "{{/* c */ -}}", "{{ $labels.instance }}", "{{ . }}"),
    *("{{ $value | humanize }}", '{{ range query "up" }}', "{{ end }}", "{{ if $value }}"),
    *("{{ else }}", "{{ else if 1 }}", "{{ else with 2 }}", "{{ with $x := 1 }}", "{{ break }}"),
    *('{{ define "t" }}', '{{ template "t" . }}', '{{ block "b" . }}', "{{ range $i, $e := . }}"),
)


def random_template(source: random.Random) -> str:
    pieces = [source.choice(PIECES) for _ in range(source.randint(1, 9))]
    return "".join(pieces) if source.random() < 0.6 else "{{ " + " ".join(pieces[:5]) + " }}"


def refused_by_promtool(promtool: Promtool, folder: Path, templates: list[str]) -> set[int]:
    rules = [
        {"alert": f"A{index}", "expr": "up", "annotations": {"a": text}}
        for index, text in enumerate(templates)
    ]
    path = folder / "rules.yml"
    path.write_text(dump_yaml({"groups": [{"name": "g", "rules": rules}]}))
    result = promtool("check", "rules", "--lint=none", path)
    found = re.finditer(r'rule \d+, "A(\d+)"', result.stdout + result.stderr)
    return {int(match[1]) for match in found}


def is_good(text: str, alert: str) -> bool:
    try:
        check_template(text, alert=alert)
    except TemplateError:
        return False
    return True


@pytest.mark.parametrize("seed", range(3))
def test_templates_get_prometheus_own_verdict(
    promtool: Promtool, tmp_path: Path, seed: int
) -> None:
    """One template that slips through would stop the loading of all rules."""
    source = random.Random(seed)
    templates = [random_template(source) for _ in range(1500)]
    refused = refused_by_promtool(promtool, tmp_path, templates)
    ours = {i for i, text in enumerate(templates) if not is_good(text, f"A{i}")}
    assert {templates[i] for i in refused ^ ours} == set()
    assert 100 < len(refused) < 1400
