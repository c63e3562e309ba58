"""Dashboards for a Grafana that others run: what is written to it, and what is taken away (pure).

Tags say whose a dashboard is and in which form, since one search shows those of all. Grafana keeps at
most 50 characters of a tag (its table ``dashboard_tag``).
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.grafana.dashboards import Dashboard, Source
from firewatch.build.objects import Stack

_REVISION = "firewatch-revision-"

Tags = frozenset[str]


@dataclass(frozen=True)
class Push:
    """A dashboard as it is to be in Grafana."""

    uid: str
    title: str
    folder: str
    """Title of its folder; empty for the one above all."""
    content: Object = field(repr=False)
    revision: str
    """Tag that says which form this is."""


@dataclass(frozen=True)
class PushPlan:
    """What differs from what Grafana shows."""

    to_write: Sequence[Push]
    as_they_are: Sequence[Push]
    to_delete: Sequence[str]
    """Uids."""


def owner_tag(stack: Stack) -> str:
    """Return the tag of a stack's dashboards, the same when the stack is made anew."""
    return f"firewatch-{names.short_hash(f'{stack.namespace}/{stack.name}', 10)}"


def build_push(stack: Stack, dashboard: Dashboard) -> Push:
    """Return a dashboard with its tags."""
    content = json.loads(dashboard.text)
    tags = content.get("tags")
    theirs = [tag for tag in tags if isinstance(tag, str)] if isinstance(tags, list) else []
    revision = f"{_REVISION}{names.short_hash(f'{dashboard.folder}/{dashboard.text}', 16)}"
    tagged = {**content, "tags": [*theirs, owner_tag(stack), revision]}
    return Push(dashboard.uid, dashboard.title, dashboard.folder, tagged, revision)


def plan_pushes(wanted: Iterable[Push], shown: Mapping[str, Tags]) -> PushPlan:
    """Return what is to be written and taken away; ``shown`` are the stack's dashboards by uid."""
    pushes = {push.uid: push for push in wanted}
    there = {uid for uid, push in pushes.items() if push.revision in shown.get(uid, frozenset())}
    return PushPlan(
        to_write=[push for uid, push in pushes.items() if uid not in there],
        as_they_are=[push for uid, push in pushes.items() if uid in there],
        to_delete=sorted(shown.keys() - pushes.keys()),
    )


def pointed_at(source: Source, uids: Mapping[str, str]) -> Source:
    """Return a dashboard of ours whose variables begin with these data sources, by type."""
    content = json.loads(source.text)
    for variable in content.get("templating", {}).get("list", ()):
        uid = uids.get(variable.get("query")) if variable.get("type") == "datasource" else None
        if uid:
            variable["current"] = {"selected": True, "text": uid, "value": uid}
    return replace(source, text=json.dumps(content))
