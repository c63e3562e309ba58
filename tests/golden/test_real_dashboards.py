"""Every query of the dashboards that come with Firewatch, asked of a real Prometheus."""

import json
import math
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from firewatch.build.grafana.bundled import BUNDLED, read_bundled
from firewatch.cluster.prometheus import Prometheus
from firewatch.runbook.preview.gather import with_all_chosen
from tests.golden.dashboard_world import running_world
from tests.golden.test_real_prometheus import until

RUNBOOK = Path(__file__).parents[2] / "docs" / "reference" / "runbook.md"
_RATE_INTERVAL = "20s"
_ERRORS = 0.1


@dataclass(frozen=True)
class Asked:
    """A query of a panel."""

    board: str
    panel: str
    expression: str
    empty: str
    """Why it may find nothing; empty if it may not."""


def queries() -> Iterator[Asked]:
    for uid in BUNDLED:
        for panel in json.loads(read_bundled(uid))["panels"]:
            for target in panel.get("targets", ()):
                empty = panel["fieldConfig"]["defaults"].get("noValue", "")
                yield Asked(
                    uid, panel["title"], with_all_chosen(target["expr"], _RATE_INTERVAL), empty
                )


@pytest_asyncio.fixture(scope="module")
async def prometheus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    async with running_world(tmp_path_factory.mktemp("dashboards"), error_ratio=_ERRORS) as api:
        yield api


async def _finds(api: Prometheus, asked: Asked) -> bool:
    return any(not math.isnan(value) for _, value in await api.samples(asked.expression))


async def test_every_query_finds_something(prometheus: Prometheus) -> None:
    waiting = [asked for asked in queries() if not asked.empty]
    assert len(waiting) > 100

    async def all_found() -> bool:
        nonlocal waiting
        waiting = [asked for asked in waiting if not await _finds(prometheus, asked)]
        return not waiting

    try:
        await until(all_found, seconds=90)
    except AssertionError:
        raise AssertionError("\n".join(map(str, waiting))) from None


async def test_what_may_find_nothing_is_understood_all_the_same(prometheus: Prometheus) -> None:
    for asked in queries():
        if asked.empty:
            await prometheus.check(asked.expression)


async def test_the_error_ratio_is_that_of_the_requests(prometheus: Prometheus) -> None:
    """The runbook divides each series by itself, which is 1 whatever happens."""
    panels = {("firewatch-api", "Error ratio"), ("firewatch-overview", "Errors of the API")}
    ratios = [asked for asked in queries() if (asked.board, asked.panel) in panels]
    assert len(ratios) == len(panels)

    async def is_settled() -> bool:
        requests = f"sum(increase(freeagentics_requests_total[{_RATE_INTERVAL}]))"
        return (await prometheus.value(requests) or 0) > 500

    await until(is_settled, seconds=60)
    for asked in ratios:
        assert await prometheus.value(asked.expression) == pytest.approx(_ERRORS, abs=0.02)
    theirs = 'rate(freeagentics_requests_total{status=~"5.."}[5m]) / rate(freeagentics_requests_total[5m])'
    assert {value for _, value in await prometheus.samples(theirs)} == {1.0}


def runbook_names() -> set[str]:
    """Return the names of metrics in the runbook's chapter on their collection."""
    text = RUNBOOK.read_text(encoding="utf-8")
    chapter = text[text.index("## Metrics Collection\n\n") : text.index("## Alert Management\n\n")]
    names = re.findall(r"^((?:node|container|pg|freeagentics)_\w+)", chapter, re.MULTILINE)
    declared = re.findall(r"'(freeagentics_\w+)'", chapter)
    return {*names, *declared}


async def test_every_name_of_the_runbook_answers(prometheus: Prometheus) -> None:
    wanted = runbook_names()
    assert len(wanted) > 40
    # A histogram answers by the names of its parts.
    query = 'count by (__name__) ({__name__=~"(node|container|pg|freeagentics)_.+"})'

    async def all_there() -> bool:
        found = {
            name.removesuffix("_bucket") for name in await prometheus.by_label(query, "__name__")
        }
        missing.clear()
        missing.update(wanted - found)
        return not missing

    missing: set[str] = set()
    try:
        await until(all_there, seconds=60)
    except AssertionError:
        raise AssertionError(sorted(missing)) from None
