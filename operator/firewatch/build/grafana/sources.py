"""Where dashboards stand: in the stack itself, and in ConfigMaps that are marked."""

from collections.abc import Iterator, Sequence
from itertools import chain

from firewatch.api.external import ExternalGrafana
from firewatch.api.resource import Object
from firewatch.api.visualization import Visualization
from firewatch.build.external import has_prometheus
from firewatch.build.grafana.dashboards import Source
from firewatch.build.objects import Stack

LABEL = "grafana_dashboard"
"""Label of ConfigMaps with dashboards, as of Grafana's usual charts."""
FOLDER = "grafana_folder"
"""Annotation with the folder of such a ConfigMap's dashboards."""
MARKED = {LABEL: ("1", "true")}
"""Labels by which they are found."""


def dashboard_sources(
    wanted: Visualization | ExternalGrafana, config_maps: Sequence[Object]
) -> Iterator[Source]:
    """Yield where dashboards stand: first in the stack itself, then in ConfigMaps, the oldest first."""
    block = "visualization" if isinstance(wanted, Visualization) else "external.grafana"
    for each in wanted.dashboards:
        yield Source(f"{block}.dashboards: {each.name}", each.folder, each.json_)

    def age(live: Object) -> tuple[str, str]:
        return live["metadata"].get("creationTimestamp", ""), live["metadata"]["name"]

    for live in sorted(config_maps, key=age):
        metadata = live["metadata"]
        folder = (metadata.get("annotations") or {}).get(FOLDER, "")
        for name, text in sorted((live.get("data") or {}).items()):
            if name.endswith(".json"):
                yield Source(f"key {name} of ConfigMap {metadata['name']}", folder, text)


def is_marked(config_map: Object) -> bool:
    """Tell whether a ConfigMap holds dashboards."""
    labels = config_map["metadata"].get("labels") or {}
    return any(labels.get(name) in values for name, values in MARKED.items())


def data_source_uids(stack: Stack, wanted: Visualization | ExternalGrafana) -> dict[str, str]:
    """Return the uids of the data sources that dashboards find, by type; of several the first."""
    if isinstance(wanted, ExternalGrafana):
        return {**wanted.data_source_uids}
    found: dict[str, str] = {}
    own = (("prometheus", has_prometheus(stack.spec)), ("alertmanager", stack.spec.alerting))
    theirs = ((each.type, each.uid) for each in wanted.data_sources)
    for kind, uid in chain(((kind, kind) for kind, block in own if block), theirs):
        if uid:
            found.setdefault(kind, uid)
    return found
