"""Dashboards as users have them, and where each goes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.visualization import Folder, FolderPermission
from firewatch.build import names
from firewatch.build.grafana.dashboards import (
    Dashboard,
    DashboardError,
    Source,
    choose_dashboards,
    read_dashboard,
)
from firewatch.build.grafana.migrate import migrate
from firewatch.build.grafana.permissions import build_permissions
from firewatch.build.grafana.slots import Slot, plan_slots
from tests.unit.test_examples import runbook_block

INPUTS = {"prometheus": "prometheus", "loki": "logs"}


def source(content: Any, folder: str = "", title: str = "here") -> Source:
    return Source(title, folder, content if isinstance(content, str) else json.dumps(content))


def read(content: Any, **fields: Any) -> Any:
    return json.loads(read_dashboard(source(content, **fields), INPUTS).text)


def test_what_speaks_of_another_grafana_is_left_out_and_what_it_asks_for_is_answered() -> None:
    found = read(
        {
            "__inputs": [
                {"name": "DS_A", "type": "datasource", "pluginId": "prometheus"},
                {"name": "DS_B", "type": "datasource", "pluginId": "loki"},
                {"name": "VAR_C", "type": "constant", "value": "shop"},
            ],
            "__requires": [],
            "id": 7,
            "version": 3,
            "uid": "mine",
            "title": "A",
            "panels": [
                {"datasource": {"uid": "${DS_A}"}, "targets": [{"expr": 'up{a="${VAR_C}"}'}]},
                {"datasource": "${DS_B}", "title": "${__field.name}"},
            ],
        }
    )
    assert not {"__inputs", "__requires", "id", "version"} & found.keys()
    one, two = found["panels"]
    assert one["datasource"] == {"uid": "prometheus"}
    assert one["targets"][0]["expr"] == 'up{a="shop"}'
    assert (two["datasource"], two["title"]) == ("logs", "${__field.name}")


def test_a_dashboard_without_a_uid_has_one_that_stays() -> None:
    first, again = (read({"title": title})["uid"] for title in ("A", "B"))
    assert first == again
    assert first != read({"title": "A"}, title="elsewhere")["uid"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "it is no JSON: Expecting property name"),
        ("[]", "it is no JSON object"),
        ("[" * 100_000, "nested too deeply"),
        ('{"title": NaN}', "what JSON has not"),
        ('{"title": "\\ud800"}', "what JSON has not"),
        ({"panels": []}, "it has no title"),
        ({"title": " "}, "it has no title"),
        ({"title": "A", "uid": "a/b"}, "its uid is not of letters"),
        ({"title": "A", "uid": 7}, "its uid is not of letters"),
        ({"title": "A", "x": "y" * 1_000_000}, "more than 900 KiB"),
        ({"apiVersion": "dashboard.grafana.app/v2beta1", "spec": {}}, "export it as classic JSON"),
        (
            {"title": "A", "__inputs": [{"name": "X", "type": "datasource", "pluginId": "tempo"}]},
            "a data source of type tempo, of which the stack has none",
        ),
    ],
)
def test_what_cannot_be_had_says_why(content: Any, said: str) -> None:
    with pytest.raises(DashboardError, match=said):
        read(content)


@pytest.mark.parametrize("folder", ["a/b", " a", "a ", "x" * 101, "a\nb"])
def test_a_folder_that_grafana_would_not_have(folder: str) -> None:
    with pytest.raises(DashboardError, match="its folder is no name of one"):
        read({"title": "A"}, folder=folder)


def test_what_grafanas_own_apis_take_and_give_is_taken_too() -> None:
    assert read({"dashboard": {"title": "A"}, "overwrite": True})["title"] == "A"
    found = read(
        {
            "apiVersion": "dashboard.grafana.app/v1beta1",
            "metadata": {"name": "abc"},
            "spec": {"title": "A"},
        }
    )
    assert (found["uid"], found["title"]) == ("abc", "A")


def test_of_two_that_grafana_would_not_have_together_the_first_is_there() -> None:
    chosen = choose_dashboards(
        [
            source({"title": "A", "uid": "a"}, "F", "one"),
            source({"title": "B", "uid": "a"}, "F", "two"),
            source({"title": "A", "uid": "c"}, "F", "three"),
            source({"title": "A", "uid": "d"}, "G", "four"),
        ],
        INPUTS,
    )
    assert [each.uid for each in chosen.dashboards] == ["a", "d"]
    assert [(each.source, each.message) for each in chosen.left_out] == [
        ("two", "one has the same uid a; change one of them"),
        ("three", "one has the same title 'A' in its folder; change one of them"),
    ]


def test_the_runbooks_own_dashboard_is_taken_and_drawn_by_todays_panels() -> None:
    text, _ = runbook_block("Main Dashboard Configuration")
    found = read(text)
    assert found["title"] == "FreeAgentics System Overview"
    assert {panel["type"] for panel in found["panels"]} == {"stat", "timeseries"}
    places = [tuple(panel["gridPos"].values()) for panel in found["panels"]]
    assert len({*places}) == len(places)
    for panel in found["panels"]:
        queries = [target["refId"] for target in panel["targets"]]
        assert len({*queries}) == len(queries)


def test_an_old_panel_keeps_what_it_was_set_to() -> None:
    (graph, stat) = migrate(
        {
            "panels": [
                {
                    "type": "graph",
                    "stack": True,
                    "fill": 3,
                    "linewidth": 2,
                    "yaxes": [{"format": "percent", "min": "0", "max": None}, {"format": "short"}],
                    "targets": [{"refId": "B"}, {}, {}],
                },
                {"type": "singlestat", "format": "bytes", "valueName": "current"},
            ]
        }
    )["panels"]
    assert graph["fieldConfig"]["defaults"] == {
        "unit": "percent",
        "min": 0.0,
        "custom": {"stacking": {"mode": "normal"}, "fillOpacity": 30, "lineWidth": 2},
    }
    assert [query["refId"] for query in graph["targets"]] == ["B", "A", "C"]
    assert stat["options"]["reduceOptions"] == {"calcs": ["lastNotNull"]}
    assert stat["fieldConfig"]["defaults"] == {"unit": "bytes"}


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["panels", "type", "targets", "yaxes", "fieldConfig", "gridPos", "title", "uid"]
                ),
                inner | st.sampled_from(["graph", "singlestat"]),
                max_size=4,
            )
        ),
        max_leaves=15,
    )
)
def test_whatever_is_written_is_read_or_refused(content: Any) -> None:
    try:
        found = read(content)
    except DashboardError:
        return
    assert found["title"]
    assert all(panel.get("type") not in {"graph", "singlestat"} for panel in found["panels"])


def dashboard(uid: str, folder: str, size: int = 10) -> Dashboard:
    return Dashboard(uid, uid, folder, "x" * size)


sets = st.dictionaries(
    st.integers(0, 40).map(str),
    st.tuples(st.sampled_from(["", "A", "B", "C"]), st.integers(1, 60)),
    max_size=25,
)


@given(first=sets, second=sets)
def test_plans_keep_folders_apart_and_what_is_there_in_its_place(
    first: dict[str, tuple[str, int]], second: dict[str, tuple[str, int]]
) -> None:
    limit = 100
    before = plan_slots([dashboard(uid, *how) for uid, how in first.items()], {}, limit=limit)
    wanted = [dashboard(uid, *how) for uid, how in second.items()]
    plan = plan_slots(wanted, before.slots, limit=limit)
    placed = {
        file: (number, slot.folder) for number, slot in plan.slots.items() for file in slot.texts
    }
    assert {each.file for each in wanted if each.uid not in plan.homeless} == placed.keys()
    for number, slot in plan.slots.items():
        assert number < names.DASHBOARD_SLOTS
        assert slot.texts
        assert sum(map(len, slot.texts.values())) <= limit
    for each in wanted:
        if each.file in placed:
            assert placed[each.file][1] == each.folder
    unchanged = [each for each in wanted if first.get(each.uid) == second[each.uid]]
    where = {file: number for number, slot in before.slots.items() for file in slot.texts}
    if second.keys() <= first.keys() and len(unchanged) == len(wanted):
        moved = [e.uid for e in wanted if e.file in where and placed[e.file][0] != where[e.file]]
        assert not moved
    assert plan_slots(wanted, plan.slots, limit=limit).slots == plan.slots


def test_what_has_no_room_is_named() -> None:
    wanted = [dashboard(f"d{number}", f"folder {number:02}") for number in range(20)]
    plan = plan_slots(wanted, {})
    assert len(plan.slots) == names.DASHBOARD_SLOTS
    assert plan.homeless == {"d16", "d17", "d18", "d19"}
    freed = plan_slots(wanted[4:], plan.slots)
    assert freed.homeless == frozenset()
    assert freed.slots[15] == Slot("folder 15", {"d15.json": "x" * 10})


def test_permissions_are_sent_only_where_they_differ_and_users_keep_theirs() -> None:
    shown = [
        {"role": "Viewer", "permission": 1},
        {"role": "Editor", "permission": 2},
        {"teamId": 7, "userId": 0, "permission": 2, "team": "Shop"},
        {"role": "Admin", "permission": 4, "inherited": True},
    ]
    assert build_permissions(Folder(title="A"), shown) is None
    none = FolderPermission.NONE
    closed = build_permissions(Folder(title="A", viewers=none, editors=none), shown)
    assert closed == [{"teamId": 7, "permission": 2}]
    assert build_permissions(Folder(title="A", viewers=none, editors=none), closed) is None
