"""Stacks and policies as objects and configuration texts."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.objects import Stack
from firewatch.build.prometheus import EXTERNAL_URL
from firewatch.build.scrape import config_revision, render_prometheus_config
from firewatch.build.stack import build_shared, build_stack
from firewatch.build.surroundings import Surroundings
from tests.golden import building
from tests.unit.test_examples import runbook_block

GOLDEN = dict(building.everything())


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.name)
def test_golden(path: Path, check_golden: Callable[[Path, str], None]) -> None:
    check_golden(path, GOLDEN[path])


def test_no_golden_file_is_left_over() -> None:
    found = {*building.STACKS.glob("*.golden"), *building.RULES.glob("*.golden")}
    assert found == GOLDEN.keys()


@pytest.mark.parametrize("seed", ["1", "2"])
def test_every_process_builds_the_same(seed: str) -> None:
    """The order of sets and the addresses of objects must not show."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.golden.building"],
        cwd=building.HERE.parents[1],
        env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": "operator"},
        capture_output=True,
        text=True,
        check=True,
    )
    expected = "".join(f"{path.name}\n{text}\n" for path, text in GOLDEN.items())
    assert result.stdout == expected


def mutable_parts(value: Any) -> list[Any]:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    own = [value] if isinstance(value, dict | list) else []
    return own + [part for each in parts for part in mutable_parts(each)]


@pytest.mark.parametrize("case", building.STACK_CASES)
def test_objects_share_no_parts(case: str) -> None:
    """Whoever changes one object must not change another, nor the user's spec."""
    found = building.stack(case)
    objects = [*build_shared([found]), *build_stack(found, building.SURROUNDINGS)]
    again = [*build_shared([found]), *build_stack(found, building.SURROUNDINGS)]
    parts = mutable_parts([*objects, *again, found.spec.model_dump(mode="python")])
    free = (
        [found.spec.metrics.affinity, found.spec.metrics.tolerations] if found.spec.metrics else []
    )
    parts += [part for each in free if each is not None for part in mutable_parts(each)]
    assert len({id(part) for part in parts}) == len(parts)


def test_the_runbooks_prometheus_configuration_job_by_job() -> None:
    """All is equal but ``node``: each machine's exporter instead of the one on localhost."""
    _, runbook = runbook_block("Prometheus Configuration")
    ours = yaml.safe_load(GOLDEN[building.STACKS / "runbook.prometheus.golden"])
    limits = {name for name in ours["global"] if name.endswith("_limit")}
    assert {k: v for k, v in ours["global"].items() if k not in limits} == runbook["global"]
    assert ours["rule_files"][:1] == runbook["rule_files"]
    wanted_names = [job["job_name"] for job in runbook["scrape_configs"]]
    # The runbook's chapters on containers and synthetic checks have no configuration of their own.
    jobs = [job for job in ours["scrape_configs"] if job["job_name"] in wanted_names]
    assert [job["job_name"] for job in jobs] == wanted_names
    for mine, wanted in zip(jobs, runbook["scrape_configs"], strict=True):
        if wanted["job_name"] == "node":
            assert "static_configs" not in mine
            (discovery,) = mine["kubernetes_sd_configs"]
            assert discovery["namespaces"] == {"names": ["monitoring"]}
            assert "app.kubernetes.io/name=node-exporter" in discovery["selectors"][0]["label"]
        else:
            assert mine == wanted
        for field, default in (("metrics_path", "/metrics"), ("scrape_interval", "15s")):
            assert mine.get(field, default) == wanted.get(field, default)


def test_the_runbooks_grafana_configuration_key_by_key() -> None:
    _, runbook = runbook_block("Grafana Configuration")
    objects = building.stack_objects("runbook")
    (workload,) = (
        each
        for each in objects
        if each["kind"] == "StatefulSet" and each["metadata"]["name"] == "freeagentics-grafana"
    )
    (container,) = workload["spec"]["template"]["spec"]["containers"]
    env = {each["name"]: each["value"] for each in container["env"]}
    wanted = {
        f"GF_{section}_{key}".upper(): str(value).lower() if isinstance(value, bool) else str(value)
        for section in ("server", "database", "security", "auth")
        for key, value in runbook[section].items()
    }
    for name in ("GF_DATABASE_PASSWORD", "GF_SECURITY_ADMIN_PASSWORD"):
        assert wanted.pop(name).startswith("${")
        assert env[name].startswith("$__file{/etc/grafana/files/"), "by Secret only"
    # Grafana 9.3 has moved the choice into the section of the provider.
    wanted["GF_AUTH_GENERIC_OAUTH_AUTO_LOGIN"] = wanted.pop("GF_AUTH_OAUTH_AUTO_LOGIN")
    assert {name: env[name] for name in wanted} == wanted
    text = GOLDEN[building.STACKS / "runbook.grafana.golden"]
    (source,) = (s for s in yaml.safe_load(text)["datasources"] if s["name"] == "Prometheus")
    (theirs,) = runbook["datasources"]
    # Inside a cluster the Service of this stack, not any host that is called prometheus.
    assert theirs.pop("url") == "http://prometheus:9090"
    assert source["url"] == "http://freeagentics-prometheus.monitoring.svc:9090"
    assert {name: source[name] for name in theirs} == theirs


def render(receiver: str = "1.2.3.4:9095", **metrics: Any) -> Any:
    spec = MonitoringStackSpec.model_validate({"metrics": metrics})
    assert spec.metrics
    text = render_prometheus_config(
        Stack("shop", "a", "u", spec), spec.metrics, Surroundings(receiver)
    )
    return yaml.safe_load(text)


def test_the_revision_is_read_back_and_follows_every_change() -> None:
    texts = [yaml.safe_dump(render()), yaml.safe_dump(render(retention={"time": "1d"}))]
    revisions = [config_revision(text) for text in texts]
    assert None not in revisions
    assert len(set(revisions)) == 2
    assert config_revision("global: {}") is None
    assert config_revision("") is None


@pytest.mark.parametrize(
    ("authority", "tls"),
    [
        (None, None),
        ("", {"server_name": "receiver.fw.svc", "min_version": "TLS12"}),
        ("PEM\n", {"ca": "PEM\n", "server_name": "receiver.fw.svc", "min_version": "TLS12"}),
    ],
)
def test_the_alert_receiver_by_https(authority: str | None, tls: Any) -> None:
    spec = MonitoringStackSpec.model_validate({"metrics": {}})
    assert spec.metrics
    around = Surroundings("receiver.fw.svc:9095", receiver_authority=authority)
    text = render_prometheus_config(Stack("shop", "a", "u", spec), spec.metrics, around)
    (found,) = yaml.safe_load(text)["alerting"]["alertmanagers"]
    assert found.get("tls_config") == tls
    assert found["scheme"] == ("https" if tls else "http")


@pytest.mark.parametrize(
    ("receiver", "discovery"),
    [
        ("10.0.0.1:9095", {"static_configs": [{"targets": ["10.0.0.1:9095"]}]}),
        ("[fd00::1]:9095", {"static_configs": [{"targets": ["[fd00::1]:9095"]}]}),
        (
            "receiver.fw.svc:9095",
            {
                "dns_sd_configs": [
                    {
                        "names": ["receiver.fw.svc"],
                        "type": "A",
                        "port": 9095,
                        "refresh_interval": "5s",
                    }
                ]
            },
        ),
    ],
)
def test_the_alert_receiver(receiver: str, discovery: Any) -> None:
    (found,) = render(receiver)["alerting"]["alertmanagers"]
    assert found == {
        "api_version": "v2",
        "scheme": "http",
        "timeout": "5s",
        "authorization": {
            "type": "Bearer",
            "credentials_file": "/etc/prometheus/token/token",
        },
        **discovery,
    }


def test_prometheus_does_not_expand_what_users_write() -> None:
    assert render(externalLabels={"a": "${HOME} $x"})["global"]["external_labels"] == {
        "a": "$${HOME} $$x"
    }


def test_nothing_is_built_for_an_empty_stack() -> None:
    empty = Stack("shop", "a", "u", MonitoringStackSpec())
    assert build_stack(empty, building.SURROUNDINGS) == []
    assert build_shared([empty]) == []


def test_what_stacks_share_is_the_same_whichever_is_built() -> None:
    spec = MonitoringStackSpec.model_validate({"metrics": {}})
    one, other = Stack("shop", "a", "u2", spec), Stack("shop", "b", "u1", spec)
    assert build_shared([one, other]) == build_shared([other, one])
    (reference, _) = build_shared([one, other])[0]["metadata"]["ownerReferences"]
    assert (reference["uid"], reference.get("controller")) == ("u1", None)


@pytest.mark.parametrize("case", building.STACK_CASES)
def test_pods_are_hardened_but_for_the_one_named_exception(case: str) -> None:
    for item in building.stack_objects(case):
        if item["kind"] not in {"StatefulSet", "DaemonSet", "Deployment"}:
            continue
        pod = item["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            security = container["securityContext"]
            assert security["allowPrivilegeEscalation"] is False
            assert security["readOnlyRootFilesystem"] is True
            assert security["capabilities"] == {"drop": ["ALL"]}
        is_exporter = item["kind"] == "DaemonSet"
        assert [pod.get("hostNetwork"), pod.get("hostPID")] == [is_exporter or None] * 2
        host_paths = [volume for volume in pod.get("volumes", ()) if "hostPath" in volume]
        assert bool(host_paths) == is_exporter
        for mount in container.get("volumeMounts", ()):
            assert mount.get("readOnly") is True or mount["name"] in {"data", "tmp"}
        has_token = pod.get("serviceAccountName") is not None
        assert pod["automountServiceAccountToken"] is has_token


@pytest.mark.parametrize("case", building.STACK_CASES)
def test_every_flag_that_is_set_is_refused_in_extra_args(case: str) -> None:
    """A flag that is given twice ends most programs."""
    spec = building.stack(case).spec
    blocks = {
        "prometheus": spec.metrics,
        "node-exporter": spec.exporters.node,
        "alertmanager": spec.alerting,
        "blackbox-exporter": spec.exporters.blackbox,
        "kube-state-metrics": spec.exporters.kube_state_metrics,
        "pushgateway": spec.exporters.pushgateway,
        "grafana": spec.visualization,
        "journeys": spec.synthetic.journey_runner,
        "rum": spec.real_user_monitoring,
        "postgres-exporter": spec.exporters.postgres[0] if spec.exporters.postgres else None,
    }
    for item in building.stack_objects(case):
        if "template" not in item.get("spec", {}):
            continue
        main = item["spec"]["template"]["spec"]["containers"][0]
        if main["name"] == "exporter":
            continue
        block = blocks[main["name"]]
        assert block
        own = main["args"][: len(main["args"]) - len(block.extra_args)]
        own = [each for each in own if item["kind"] != "StatefulSet" or EXTERNAL_URL not in each]
        assert {arg.lstrip("-").partition("=")[0] for arg in own} <= block.own_flags
