"""Slots: ConfigMaps of dashboards that Grafana's pods mount, whether they exist or not.

A pod's volumes are fixed when it is made, and a directory of files is one folder of Grafana's. So each
slot has a directory of its own, and a file that Grafana reads again says which folder it is.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.api.visualization import DashboardLeftOut
from firewatch.build import names
from firewatch.build.grafana.dashboards import Dashboard
from firewatch.build.objects import Part, Stack, config_map
from firewatch.build.yaml_text import dump_yaml

FOLDER_ANNOTATION = "monitoring.freeagentics.io/folder"
SLOT_LIMIT = 900 * 1024
"""Bytes of dashboards in a ConfigMap; the API server takes 1 MiB with everything around them."""


_MOST_WORDS = 512


@dataclass(frozen=True)
class Slot:
    """The dashboards of one directory."""

    folder: str
    """Title of Grafana's folder; empty for the one that everything is in."""
    texts: Mapping[str, str]
    """By file name."""


Slots = Mapping[int, Slot]


@dataclass(frozen=True)
class SlotPlan:
    """Where every dashboard goes."""

    slots: dict[int, Slot]
    homeless: frozenset[str]
    """Uids of the dashboards for which there is no room."""


def plan_slots(
    dashboards: Iterable[Dashboard], current: Slots, *, limit: int = SLOT_LIMIT
) -> SlotPlan:
    """Return where every dashboard goes: where it is, with others of its folder, or where nothing is.

    One that moves is gone for a moment, so nothing moves for convenience.
    """
    where = {file: number for number, slot in current.items() for file in slot.texts}
    folders: dict[int, str] = {}
    files: dict[int, dict[str, str]] = {}
    used = dict.fromkeys(range(names.DASHBOARD_SLOTS), 0)
    homeless: set[str] = set()

    def is_there(dashboard: Dashboard) -> bool:
        number = where.get(dashboard.file)
        return number is not None and current[number].folder == dashboard.folder

    for each in sorted(dashboards, key=lambda each: (not is_there(each), each.folder, each.file)):
        first = [where[each.file]] if is_there(each) else []
        numbers = [*first, *_candidates(each.folder, folders, current)]
        number = next((n for n in numbers if used[n] + each.size <= limit), None)
        if number is None:
            homeless.add(each.uid)
            continue
        folders[number] = each.folder
        files.setdefault(number, {})[each.file] = each.text
        used[number] += each.size
    slots = {number: Slot(folders[number], files[number]) for number in sorted(files)}
    return SlotPlan(slots, frozenset(homeless))


def without_room(dashboards: Iterable[Dashboard], plan: SlotPlan) -> Iterator[DashboardLeftOut]:
    """Yield the dashboards for which there is no room."""
    why = (
        f"there is no room: {names.DASHBOARD_SLOTS} folders, or parts of {SLOT_LIMIT // 1024} KiB of"
        " them, are taken; use fewer folders"
    )
    for each in dashboards:
        if each.uid in plan.homeless:
            yield DashboardLeftOut(source=f"dashboard {each.title}"[:_MOST_WORDS], message=why)


def _candidates(folder: str, folders: Mapping[int, str], current: Slots) -> Iterable[int]:
    """Yield the slots for a folder: its own, unused ones, then those that others are about to leave."""
    every = range(names.DASHBOARD_SLOTS)
    yield from (n for n in every if folders.get(n) == folder)
    free = [n for n in every if n not in folders]
    yield from (n for n in free if n in current and current[n].folder == folder)
    yield from (n for n in free if n not in current)
    yield from (n for n in free if n in current and current[n].folder != folder)


def build_slot(stack: Stack, number: int, slot: Slot) -> Object:
    """Return the ConfigMap of a slot."""
    part = _part(stack, names.dashboard_slot_name(stack.name, number))
    found = config_map(part, {name: slot.texts[name] for name in sorted(slot.texts)})
    found["metadata"]["annotations"] = {FOLDER_ANNOTATION: slot.folder}
    return found


def read_slot(live: Object) -> Slot:
    """Return what a live ConfigMap holds."""
    folder = live["metadata"].get("annotations", {}).get(FOLDER_ANNOTATION, "")
    return Slot(folder, live.get("data") or {})


def build_providers(stack: Stack, slots: Slots) -> Object:
    """Return the ConfigMap that says which folder each directory is.

    Dashboards from files cannot be changed in Grafana's pages, and go when their file goes.
    """
    providers = [
        {
            "name": f"firewatch-{number}",
            "orgId": 1,
            "folder": slots[number].folder.replace("$", "$$"),
            "type": "file",
            "disableDeletion": False,
            "allowUiUpdates": False,
            "updateIntervalSeconds": 10,
            "options": {"path": slot_directory(number)},
        }
        for number in sorted(slots)
    ]
    text = dump_yaml({"apiVersion": 1, "providers": providers})
    part = _part(stack, names.dashboards_name(stack.name))
    return config_map(part, {names.PROVIDERS_KEY: text})


def slot_directory(number: int) -> str:
    """Return where a slot is mounted in Grafana's pods."""
    return f"{names.DASHBOARDS_DIRECTORY}/{number}"


def _part(stack: Stack, name: str) -> Part:
    return Part(stack, name, names.GRAFANA, names.DASHBOARDS)
