"""The dashboards that come with Firewatch; ``dashboards/`` has them as code."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.grafana.dashboards import Source
from firewatch.build.packs.choose import ChosenPack

FOLDER = "Firewatch"

JOURNEYS, REAL_USERS = "synthetic.journeys", "realUserMonitoring"

_SUBJECTS = {
    "firewatch-overview": "",
    "firewatch-api": "api",
    "firewatch-business": "api",
    "firewatch-coordination": "coordination",
    "firewatch-node": "node",
    "firewatch-workloads": "kubernetes",
    "firewatch-postgresql": "database",
    "firewatch-probes": "synthetic",
    "firewatch-journeys": JOURNEYS,
    "firewatch-real-users": REAL_USERS,
    "firewatch-objectives": "",
    "firewatch-alerts": "",
    "firewatch-monitoring": "prometheus",
    "firewatch-operator": "firewatch",
}
"""Pack that each belongs to, or what else has to be there, by uid; nothing where it belongs to all."""

BUNDLED = tuple(_SUBJECTS)


def bundled_dashboards(spec: MonitoringStackSpec, packs: Sequence[ChosenPack]) -> Iterator[Source]:
    """Yield the dashboards of what there is; none if a stack asks for no packs."""
    there = {"", *(pack.name for pack in packs if not pack.why_not)}
    if spec.synthetic.journeys:
        there.add(JOURNEYS)
    if spec.real_user_monitoring:
        there.add(REAL_USERS)
    for uid, subject in _SUBJECTS.items():
        if packs and subject in there:
            yield Source(f"Firewatch's own {uid}", FOLDER, read_bundled(uid))


@cache
def read_bundled(uid: str) -> str:
    """Return the JSON of a dashboard."""
    return (resources.files("firewatch.dashboards") / f"{uid}.json").read_text(encoding="utf-8")
