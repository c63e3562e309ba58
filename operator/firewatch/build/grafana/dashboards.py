"""Dashboards: what is read from users' JSON, and which of it Grafana is given."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from firewatch.api.resource import Object
from firewatch.api.visualization import FOLDER_PATTERN, DashboardLeftOut
from firewatch.build import names
from firewatch.build.grafana.migrate import migrate

_UID = re.compile(r"[a-zA-Z0-9_-]{1,40}")
_FOLDER = re.compile(FOLDER_PATTERN)
_LIMIT = 900 * 1024
"""Bytes of a dashboard; the API server takes 1 MiB in an object, with everything around it."""
_MOST_WORDS = 512
_OF_ITS_ORIGIN = ("id", "version", "iteration", "__inputs", "__requires", "__elements")
"""Fields that speak of the Grafana that a dashboard comes from."""
_CLASSIC = ("dashboard.grafana.app/v0", "dashboard.grafana.app/v1")
"""Versions of Grafana's own API in which a dashboard is still what it is in a file."""


class DashboardError(ValueError):
    """Why a dashboard cannot be taken; ``str()`` says what to do."""


@dataclass(frozen=True)
class Source:
    """Somewhere a dashboard stands."""

    title: str
    """Where, in words."""
    folder: str
    text: str = field(repr=False)


@dataclass(frozen=True)
class Dashboard:
    """A dashboard that Grafana can be given."""

    uid: str
    title: str
    folder: str
    text: str = field(repr=False)

    @property
    def file(self) -> str:
        """Return the name of its file."""
        return f"{self.uid}.json"

    @property
    def size(self) -> int:
        """Return how many bytes it takes."""
        return len(self.text.encode())


@dataclass(frozen=True)
class Chosen:
    """The dashboards that Grafana is given, and those that it is not."""

    dashboards: Sequence[Dashboard]
    left_out: Sequence[DashboardLeftOut]


def choose_dashboards(sources: Iterable[Source], inputs: Mapping[str, str]) -> Chosen:
    """Return what can be had of the sources, of which earlier ones have the right of way.

    With two of one uid, or of one title in a folder, Grafana stops writing any. ``inputs`` are the
    uids of the data sources by type.
    """
    chosen: list[Dashboard] = []
    left_out: list[DashboardLeftOut] = []
    taken: dict[tuple[str, ...], str] = {}
    for source in sources:
        try:
            found = read_dashboard(source, inputs)
        except DashboardError as error:
            left_out.append(_left_out(source, str(error)))
            continue
        if clash := _clash(found, taken):
            left_out.append(_left_out(source, clash))
            continue
        taken |= dict.fromkeys(_identities(found), source.title)
        chosen.append(found)
    return Chosen(chosen, left_out)


def _identities(dashboard: Dashboard) -> dict[tuple[str, ...], str]:
    """Return what no two dashboards may have in common, in words."""
    return {
        ("uid", dashboard.uid): f"uid {dashboard.uid}",
        ("title", dashboard.folder, dashboard.title): f"title {dashboard.title!r} in its folder",
    }


def _clash(dashboard: Dashboard, taken: Mapping[tuple[str, ...], str]) -> str | None:
    """Return why a dashboard cannot be had beside those before it."""
    for identity, words in _identities(dashboard).items():
        if identity in taken:
            return f"{taken[identity]} has the same {words}; change one of them"
    return None


def _left_out(source: Source, message: str) -> DashboardLeftOut:
    return DashboardLeftOut(source=source.title, message=message[:_MOST_WORDS])


def read_dashboard(source: Source, inputs: Mapping[str, str]) -> Dashboard:
    """Return the dashboard of a source; ``DashboardError`` if there is none."""
    if source.folder and not _FOLDER.fullmatch(source.folder):
        raise DashboardError(
            "its folder is no name of one; take out slashes and blanks at its ends"
        )
    content = _unwrap(_parse(source.text))
    title = content.get("title")
    if not isinstance(title, str) or not title.strip():
        raise DashboardError("it has no title; give it one")
    uid = content.get("uid") or f"fw-{names.short_hash(source.title, 16)}"
    if not isinstance(uid, str) or not _UID.fullmatch(uid):
        raise DashboardError("its uid is not of letters, digits, - and _, at most 40; change it")
    answers = _answers(content, inputs)
    kept = {name: value for name, value in content.items() if name not in _OF_ITS_ORIGIN}
    found = migrate({**_filled(kept, answers), "uid": uid})
    text = json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    dashboard = Dashboard(uid, title.strip(), source.folder, text)
    if dashboard.size > _LIMIT:
        raise DashboardError(f"it has more than {_LIMIT // 1024} KiB; split it")
    return dashboard


def _parse(text: str) -> Object:
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
        # What cannot be written again is found here: half of a character, or no end of brackets.
        json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise DashboardError("it is nested too deeply") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        raise DashboardError(f"it is no JSON: {error.msg} at {where}") from None
    except ValueError:
        raise DashboardError("it holds what JSON has not: NaN, or half of a character") from None
    if not isinstance(found, dict):
        raise DashboardError("it is no JSON object; export the dashboard again")
    return found


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _unwrap(content: Object) -> Object:
    """Return the dashboard itself, out of what Grafana's HTTP APIs take and give."""
    if isinstance(content.get("dashboard"), dict):
        inner: Object = content["dashboard"]
        return inner
    version, spec = content.get("apiVersion"), content.get("spec")
    if isinstance(version, str) and isinstance(spec, dict):
        if not version.startswith(_CLASSIC):
            raise DashboardError(f"it is of {version}; export it as classic JSON")
        metadata = content.get("metadata")
        name = metadata.get("name") if isinstance(metadata, dict) else None
        return {"uid": name, **spec}
    return content


def _answers(content: Object, inputs: Mapping[str, str]) -> dict[str, str]:
    """Return what stands for the ``${…}`` that an exported dashboard asks for when it is imported."""
    answers = {}
    asked = content.get("__inputs")
    for each in asked if isinstance(asked, list) else ():
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            continue
        plugin = each.get("pluginId")
        if each.get("type") == "constant":
            answers[f"${{{each['name']}}}"] = str(each.get("value", ""))
        elif isinstance(plugin, str) and plugin in inputs:
            answers[f"${{{each['name']}}}"] = inputs[plugin]
        else:
            raise DashboardError(
                f"it asks for a data source of type {plugin}, of which the stack has none;"
                " add one to visualization.dataSources, with a uid"
            )
    return answers


def _filled(value: Any, answers: Mapping[str, str]) -> Any:
    """Return a value with the answers in it."""
    if isinstance(value, str):
        for asked, answer in answers.items():
            value = value.replace(asked, answer)
        return value
    if isinstance(value, dict):
        return {name: _filled(each, answers) for name, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, answers) for each in value]
    return value
