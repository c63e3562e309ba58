"""The dashboards that come with Firewatch; ``dashboards/`` has them as code."""

from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from firewatch.build.grafana.dashboards import Source
from firewatch.build.packs.choose import ChosenPack

FOLDER = "Firewatch"

_PACKS = {
    "firewatch-overview": "",
    "firewatch-api": "api",
    "firewatch-business": "api",
    "firewatch-coordination": "coordination",
    "firewatch-node": "node",
    "firewatch-workloads": "kubernetes",
    "firewatch-postgresql": "database",
    "firewatch-probes": "synthetic",
    "firewatch-objectives": "",
    "firewatch-alerts": "",
    "firewatch-monitoring": "prometheus",
    "firewatch-operator": "firewatch",
}
"""Pack that each belongs to, by uid; none where it belongs to all."""

BUNDLED = tuple(_PACKS)


def bundled_dashboards(packs: Sequence[ChosenPack]) -> Iterator[Source]:
    """Yield the dashboards of the packs that run; none if a stack asks for no packs."""
    running = {pack.name for pack in packs if not pack.why_not}
    for uid, pack in _PACKS.items():
        if packs and (not pack or pack in running):
            yield Source(f"Firewatch's own {uid}", FOLDER, read_bundled(uid))


@cache
def read_bundled(uid: str) -> str:
    """Return the JSON of a dashboard."""
    return (resources.files("firewatch.dashboards") / f"{uid}.json").read_text(encoding="utf-8")
