"""One installation of Firewatch for all scenarios; every scenario has a namespace of its own."""

from collections.abc import Generator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from e2e import evidence
from e2e.audit import AuditLog
from e2e.cluster.backend import choose
from e2e.cluster.programs import program
from e2e.cluster.progress import ConsoleProgress
from e2e.demo.names import NAMESPACE as DEMO_NAMESPACE
from e2e.host_operator import HostOperator
from e2e.images import PROJECT
from e2e.installation import Testbed, Values, bring_up, install, uninstall
from e2e.messages import Recorder, record
from e2e.station import NAMESPACES, Station

VALUES = Values(
    NAMESPACES,
    NAMESPACES,
    {
        "clusterStacks": {"namespaces": ["e2e-exporters"]},
        "sources": {"namespaces": ["e2e-own", "e2e-notify"]},
        # Waited for twice where something cannot be given back.
        "uninstall": {"timeoutSeconds": 10},
    },
    target_options={"restart": True, "circuitBreaker": True},
    # Scenarios end badly on purpose.
    rails={"maxFailures": 100_000},
)
"""Of the installation for all scenarios."""

_HERE = Path(__file__).parent
_LAST = _HERE / "test_rights.py"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put what looks back at all scenarios at the end; leave it out where not all of them run."""
    last = [item for item in items if item.path == _LAST]
    others = [item for item in items if item.path != _LAST]
    if _is_whole_tier(config, {item.path for item in others}):
        items[:] = [*others, *last]
    else:
        items[:] = others
        config.hook.pytest_deselected(items=last)


def _is_whole_tier(config: pytest.Config, files: set[Path]) -> bool:
    chosen = config.option.keyword or config.option.markexpr or config.option.deselect
    named = any("::" in argument for argument in config.args)
    return not chosen and not named and {*_HERE.glob("test_*.py")} - {_LAST} <= files


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Function,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Keep how the cluster stands when a scenario fails."""
    report = yield
    testbed = item.funcargs.get("testbed")
    if report.failed and isinstance(testbed, Testbed):
        folder = evidence.keep(testbed, item.nodeid)
        report.sections.append((f"operator's log, of {folder}", evidence.last_lines(folder)))
    return report


@pytest.fixture(scope="session")
def session_audit(testbed: Testbed) -> AuditLog:
    """Return the audit log since the operator was installed."""
    return AuditLog(testbed.cluster)


@pytest.fixture(scope="session", autouse=True)
def _record(session_audit: AuditLog) -> None:
    """Begin the record with the first scenario."""


@pytest.fixture(scope="session")
def testbed() -> Iterator[Testbed]:
    """Bring the cluster up and install the operator; leave the cluster as it was found."""
    progress = ConsoleProgress()
    was_up = choose().status().state == "up"
    testbed = bring_up(progress)
    # Those of demos go while their operator is there, which may have to give back what the load of the
    # tests has made it take. What benches have left would take the node's port of an exporter.
    there = [each["metadata"]["name"] for each in testbed.kubectl.list("namespace")]
    left = [name for name in there if name.startswith(("bench-", DEMO_NAMESPACE))]
    testbed.kubectl.delete_namespaces(*left, *NAMESPACES)
    install(testbed, VALUES, progress)
    yield testbed
    testbed.kubectl.delete_namespaces(*NAMESPACES)
    uninstall(testbed)
    if not was_up:
        testbed.backend.down(progress)


@pytest.fixture(scope="session")
def by_helm_4(testbed: Testbed) -> Testbed:
    """Return the test bed with Helm 4 in place of Helm 3."""
    return replace(testbed, helm=program("helm4", ConsoleProgress()))


def _station(testbed: Testbed, namespace: str, *, node_exporter: bool = False) -> Station:
    station = Station(testbed, namespace)
    station.set_up(node_exporter=node_exporter)
    return station


@pytest.fixture(scope="session")
def stack_station(testbed: Testbed) -> Station:
    """Return a namespace with a node exporter."""
    return _station(testbed, "e2e-stack", node_exporter=True)


@pytest.fixture(scope="session")
def response_station(testbed: Testbed) -> Station:
    """Return a namespace for responses."""
    return _station(testbed, "e2e-response")


@pytest.fixture(scope="session")
def fault_station(testbed: Testbed) -> Station:
    """Return a namespace in which things break."""
    return _station(testbed, "e2e-faults")


@pytest.fixture(scope="session")
def kill_station(testbed: Testbed) -> Station:
    """Return a namespace for an operator that is killed."""
    return _station(testbed, "e2e-kill")


@pytest.fixture(scope="session")
def standby_station(testbed: Testbed) -> Station:
    """Return a namespace for an operator whose replicas take turns."""
    return _station(testbed, "e2e-standby")


@pytest.fixture(scope="session")
def host_operator(testbed: Testbed) -> HostOperator:
    """Return an operator on this machine, for the kill sweep."""
    return HostOperator(testbed, PROJECT / "build" / "e2e", "e2e-kill")


@pytest.fixture(scope="module")
def recorder(testbed: Testbed) -> Iterator[Recorder]:
    """Record what pods send to this machine."""
    assert testbed.cluster.host_address, "no address of this machine that pods reach is known"
    with record(testbed.cluster.host_address) as found:
        yield found
