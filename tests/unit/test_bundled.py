"""The dashboards that come with Firewatch: what they say, and where they lead."""

import json
import re
from collections.abc import Iterator
from importlib import resources
from typing import Any

import pytest

from firewatch.build.grafana.bundled import BUNDLED, read_bundled
from firewatch.build.grafana.dashboards import Source, choose_dashboards

_LINK = re.compile(r"/d/([a-z-]+)\?(.*)")
_OVERVIEW = "firewatch-overview"


def content(uid: str) -> Any:
    return json.loads(read_bundled(uid))


def panels(uid: str) -> Iterator[Any]:
    return (panel for panel in content(uid)["panels"] if panel["type"] != "row")


def test_every_file_belongs_to_a_pack_or_to_all() -> None:
    folder = resources.files("firewatch.dashboards")
    found = [each.name for each in folder.iterdir() if each.name.endswith(".json")]
    assert sorted(found) == sorted(f"{uid}.json" for uid in BUNDLED)


def test_grafana_can_have_all_of_them_together() -> None:
    sources = [Source(uid, "Firewatch", read_bundled(uid)) for uid in BUNDLED]
    chosen = choose_dashboards(sources, {"prometheus": "prometheus"})
    assert chosen.left_out == []
    assert [each.uid for each in chosen.dashboards] == [*BUNDLED]


@pytest.mark.parametrize("uid", BUNDLED)
def test_each_says_what_it_is_for_and_each_panel_what_it_shows(uid: str) -> None:
    found = content(uid)
    assert re.fullmatch(r"Purpose: .+\. For: .+\.", found["description"])
    assert (found["editable"], found["uid"]) == (False, uid)
    ids = [panel["id"] for panel in found["panels"]]
    assert len({*ids}) == len(ids)
    for panel in panels(uid):
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_every_link_leads_to_a_dashboard_and_keeps_what_is_chosen() -> None:
    linked = set()
    for uid in BUNDLED:
        for panel in panels(uid):
            for link in panel.get("links", ()):
                match = _LINK.fullmatch(link["url"])
                assert match, link["url"]
                assert match[1] in BUNDLED
                names = {each["name"] for each in content(match[1])["templating"]["list"]}
                kept = re.findall(r"\$\{(\w+):queryparam\}", match[2])
                assert "${__url_time_range}" in match[2]
                assert {"datasource", "job", "instance"} == {*kept}
                assert "datasource" in names
                linked.add((uid, match[1]))
    assert all(panel.get("links") for panel in panels(_OVERVIEW))
    assert {to for uid, to in linked if uid == _OVERVIEW} >= {
        *("firewatch-api", "firewatch-coordination", "firewatch-business", "firewatch-node"),
        *("firewatch-workloads", "firewatch-postgresql", "firewatch-probes", "firewatch-alerts"),
    }
    (menu,) = content(_OVERVIEW)["links"]
    assert (menu["includeVars"], menu["keepTime"], menu["tags"]) == (True, True, ["firewatch"])
    assert all("firewatch" in content(uid)["tags"] for uid in BUNDLED)
