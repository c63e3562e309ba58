"""A stack with real pods: metrics of the machine, configuration that is running when it says so."""

import os
import re
import time
from pathlib import Path

import pytest

from e2e.kubectl import condition, wait_for
from e2e.station import STACK, Station

RUNBOOK = Path(__file__).parents[1] / "docs" / "reference" / "runbook.md"


def node_families() -> list[str]:
    """Return the node_* metric families of the runbook's section on infrastructure metrics."""
    text = RUNBOOK.read_text(encoding="utf-8")
    section = text[text.index("#### Infrastructure Metrics") : text.index("#### Container Metrics")]
    return sorted(set(re.findall(r"^(node_\w+)", section, re.MULTILINE)))


def test_the_runbook_names_twelve_node_families_as_three_modes_of_one_and_eleven() -> None:
    assert len(node_families()) == 12


@pytest.mark.parametrize("family", node_families())
def test_the_node_exporter_gives_each_family_of_the_runbook(
    stack_station: Station, family: str
) -> None:
    assert wait_for(family, lambda: stack_station.query(f'{family}{{job="node"}}'))


def test_the_figures_are_the_hosts_own(stack_station: Station) -> None:
    def value(expression: str) -> float:
        (sample,) = stack_station.query(expression)
        return float(sample["value"][1])

    memory = next(
        int(line.split()[1]) * 1024
        for line in Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
        if line.startswith("MemTotal:")
    )
    assert value("node_memory_MemTotal_bytes") == memory
    root = os.statvfs("/")
    assert value('node_filesystem_size_bytes{mountpoint="/"}') == root.f_blocks * root.f_frsize
    devices = {
        sample["metric"]["device"]
        for sample in stack_station.query("node_network_receive_bytes_total")
    }
    assert devices & {path.name for path in Path("/sys/class/net").iterdir()}


def test_a_configuration_change_runs_within_two_seconds_and_is_said_only_then(
    stack_station: Station,
) -> None:
    jobs = [
        {"name": "signal", "targets": ["signal:8000"]},
        {"name": "extra", "targets": ["api:8000"], "path": "/metrics", "interval": "2s"},
    ]
    stack_station.wait_ready("mstack", STACK)
    patch = {"spec": {"metrics": {"scrapeJobs": jobs}}}
    started = time.monotonic()
    stack_station.kubectl.patch("mstack", STACK, stack_station.namespace, patch)
    generation = (stack_station.kubectl.get("mstack", STACK, stack_station.namespace) or {})[
        "metadata"
    ]["generation"]

    def confirmed() -> bool:
        found = stack_station.kubectl.get("mstack", STACK, stack_station.namespace)
        loaded = condition(found, "Loaded")
        said = loaded.get("status") == "True" and loaded["observedGeneration"] == generation
        if said:
            assert "job_name: extra" in stack_station.prometheus("status/config")["yaml"]
        return said

    wait_for("the change to be confirmed", confirmed, pause=0.05)
    print(f"change running after {time.monotonic() - started:.2f} s")
    assert wait_for("the new job's metrics", lambda: stack_station.query('up{job="extra"} == 1'))


def test_a_stack_that_is_scaled_down_by_hand_is_put_right(stack_station: Station) -> None:
    name = f"{STACK}-prometheus"
    stack_station.kubectl.run(
        "scale", f"statefulset/{name}", "-n", stack_station.namespace, "--replicas=0"
    )

    def is_right() -> bool:
        found = stack_station.kubectl.get("statefulset", name, stack_station.namespace)
        return found is not None and found["spec"]["replicas"] == 1

    assert wait_for("one replica again", is_right)
    stack_station.wait_ready("mstack", STACK)


def test_the_node_exporter_goes_when_it_is_not_wanted_any_more(stack_station: Station) -> None:
    patch = {"spec": {"exporters": {"node": None}}}
    stack_station.kubectl.patch("mstack", STACK, stack_station.namespace, patch)
    assert wait_for(
        "the DaemonSet to go",
        lambda: not stack_station.kubectl.list("daemonset", stack_station.namespace),
    )
    stack_station.wait_ready("mstack", STACK)
