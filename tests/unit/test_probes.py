"""Synthetic probes: which targets fit, and how long a probe may take."""

from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.left_out import find_left_out
from firewatch.build.objects import Stack
from firewatch.build.probes import build_probe_jobs, find_unfit_targets
from firewatch.build.surroundings import Surroundings

MODULES = {
    "name_server": {"prober": "dns", "dns": {"queryName": "example.org"}},
    "slow": {"prober": "http", "timeout": "20s"},
    "quick": {"prober": "http", "timeout": "2s"},
}
NOTHING = Surroundings("firewatch:9095")


def stack(*probes: Object, **exporters: Any) -> Stack:
    spec = {
        "metrics": {},
        "exporters": {"blackbox": {"modules": MODULES}, **exporters},
        "synthetic": {"probes": list(probes)},
    }
    return Stack("shop", "main", "u", MonitoringStackSpec.model_validate(spec))


def probe(module: str, *targets: str, **fields: Any) -> Object:
    return {"name": "p", "module": module, "targets": list(targets), **fields}


FITTING = [
    ("http_2xx", "https://example.org"),
    ("http_2xx", "http://[::1]:8080/a?b=c#d"),
    ("http_2xx", "api:8000/health"),
    ("http_2xx", "example.org"),
    ("tcp_connect", "db:5432"),
    ("tcp_connect", "[fd00::1]:5432"),
    ("icmp", "10.0.0.1"),
    ("icmp", "fd00::1"),
    ("icmp", "gateway.example.org"),
    ("name_server", "10.0.0.10"),
    ("name_server", "dns:53"),
]
UNFIT = [
    ("http_2xx", "ftp://example.org"),
    ("tcp_connect", "db"),
    ("tcp_connect", "tcp://db:5432"),
    ("tcp_connect", "db:port"),
    ("icmp", "gateway:80"),
    ("icmp", "https://gateway"),
    ("name_server", "https://dns"),
]


@pytest.mark.parametrize(("module", "target"), FITTING)
def test_a_target_that_its_prober_understands_is_probed(module: str, target: str) -> None:
    found = stack(probe(module, target))
    assert find_unfit_targets(found.spec) == []
    (job,) = build_probe_jobs(found, "15s")
    assert job["static_configs"][0]["targets"] == [target]
    assert job["params"] == {"module": [module]}


@pytest.mark.parametrize(("module", "target"), UNFIT)
def test_a_target_that_cannot_work_is_left_out_and_the_others_are_probed(
    module: str, target: str
) -> None:
    good = next(fitting for name, fitting in FITTING if name == module)
    found = stack(probe(module, target, good))
    (problem,) = find_unfit_targets(found.spec)
    assert f"p: target {target} left out: prober" in problem
    (job,) = build_probe_jobs(found, "15s")
    assert job["static_configs"][0]["targets"] == [good]
    assert build_probe_jobs(stack(probe(module, target)), "15s") == []


def test_an_unknown_module_is_named_with_those_that_there_are() -> None:
    found = stack(probe("http_3xx", "https://example.org"))
    (left_out,) = find_left_out(found, NOTHING)
    assert left_out.reason == "ProbeLeftOut"
    assert left_out.message == (
        "synthetic.probes: p left out: exporters.blackbox has no module http_3xx; its modules are"
        " http_2xx, http_post_2xx, icmp, name_server, quick, slow, tcp_connect"
    )
    assert build_probe_jobs(found, "15s") == []


def test_only_the_first_of_many_is_told_and_the_others_counted() -> None:
    (left_out,) = find_left_out(stack(probe("icmp", "a:1", "b:2", "c:3")), NOTHING)
    assert left_out.message.endswith("as 10.0.0.1 (and 2 more)")


@pytest.mark.parametrize(
    ("module", "interval", "timeout"),
    [
        ("http_2xx", "30s", None),
        ("quick", "30s", None),
        ("slow", "30s", "21000ms"),
        ("slow", "20s", "20000ms"),
        ("slow", "15s", "15000ms"),
    ],
)
def test_prometheus_waits_as_long_as_the_module_may_take_and_never_past_the_next_probe(
    module: str, interval: str, timeout: str | None
) -> None:
    (job,) = build_probe_jobs(stack(probe(module, "https://example.org")), interval)
    assert job.get("scrape_timeout") == timeout
    own = probe(module, "https://example.org", interval=interval)
    (job,) = build_probe_jobs(stack(own), "1h")
    assert (job["scrape_interval"], job.get("scrape_timeout")) == (interval, timeout)


def test_blocks_that_read_the_cluster_are_left_out_where_they_may_not() -> None:
    found = stack(kubelet={}, kubeStateMetrics={})
    (left_out,) = find_left_out(found, NOTHING)
    assert left_out.reason == "ClusterScopeNotGranted"
    assert left_out.message == (
        "exporters.kubeStateMetrics and exporters.kubelet left out: they need to read the whole"
        " cluster; add shop to clusterStacks.namespaces of the chart"
    )
    assert "it needs to read" in find_left_out(stack(kubelet={}), NOTHING)[0].message
    assert find_left_out(found, Surroundings("firewatch:9095", cluster_namespaces=("shop",))) == []
    assert find_left_out(stack(node={}), NOTHING) == []
