"""The Lua scripts for Argo CD give what their own test files say, run by Lua 5.1 as Argo CD has it.

Argo CD's own code runs the same files in tests/argocd.
"""

from pathlib import Path
from typing import Any

import lupa.lua51
import pytest
import yaml

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import GROUP
from firewatch.api.responses import APPROVED, PAUSED_UNTIL, REJECTED

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "argocd" / "resource_customizations" / GROUP
KINDS = sorted(path.name for path in SCRIPTS.iterdir())
ACTIONS = {
    "MonitoringStack": ("pause", "resume"),
    "AutoResponse": ("pause", "resume", "approve", "reject"),
}
DATA = yaml.safe_load((ROOT / "examples" / "argocd" / "argocd-cm.yaml").read_text())["data"]


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


def run(script: Path, resource: Any) -> Any:
    """Run a script as Argo CD does, with the resource as `obj`."""
    lua = lupa.lua51.LuaRuntime()
    lua.globals().obj = lua.table_from(resource, recursive=True)
    return to_python(lua.execute(script.read_text()))


def to_python(value: Any) -> Any:
    if not hasattr(value, "items"):
        return value
    found = {key: to_python(item) for key, item in value.items()}
    is_list = bool(found) and list(found) == list(range(1, len(found) + 1))
    return list(found.values()) if is_list else found


HEALTH = [
    (kind, test["inputPath"], test["healthStatus"])
    for kind in KINDS
    for test in load(SCRIPTS / kind / "health_test.yaml")["tests"]
]


@pytest.mark.parametrize(("kind", "resource", "wanted"), HEALTH)
def test_health(kind: str, resource: str, wanted: dict[str, str]) -> None:
    folder = SCRIPTS / kind
    assert run(folder / "health.lua", load(folder / resource)) == wanted


def actions_of(kind: str) -> Path:
    return SCRIPTS / kind / "actions"


def action_tests(of: str) -> list[tuple[str, dict[str, Any]]]:
    """Return the tests of all kinds, with their kinds."""
    return [
        (kind, test) for kind in ACTIONS for test in load(actions_of(kind) / "action_test.yaml")[of]
    ]


@pytest.mark.parametrize(("kind", "test"), action_tests("discoveryTests"))
def test_the_actions_that_are_offered(kind: str, test: dict[str, Any]) -> None:
    folder = actions_of(kind)
    found = run(folder / "discovery.lua", load(folder / test["inputPath"]))
    assert [{"name": name, **found[name]} for name in sorted(found)] == test["result"]


@pytest.mark.parametrize(("kind", "test"), action_tests("actionTests"))
def test_what_an_action_does(kind: str, test: dict[str, Any]) -> None:
    folder = actions_of(kind)
    found = run(folder / test["action"] / "action.lua", load(folder / test["inputPath"]))
    wanted = load(folder / test["expectedOutputPath"])
    assert (found["metadata"], found["spec"]) == (wanted["metadata"], wanted["spec"])


def test_every_kind_has_the_same_health_check() -> None:
    assert {custom.kind for custom in CUSTOM_KINDS} <= set(KINDS)
    assert len({(SCRIPTS / kind / "health.lua").read_text() for kind in KINDS}) == 1


def test_the_config_map_for_a_running_argo_cd_has_the_same_scripts() -> None:
    for kind in KINDS:
        key = f"resource.customizations.health.{GROUP}_{kind}"
        assert DATA[key] == (SCRIPTS / kind / "health.lua").read_text()
    for kind, names in ACTIONS.items():
        actions = yaml.safe_load(DATA[f"resource.customizations.actions.{GROUP}_{kind}"])
        folder = actions_of(kind)
        assert actions["discovery.lua"] == (folder / "discovery.lua").read_text()
        assert {each["name"]: each["action.lua"] for each in actions["definitions"]} == {
            name: (folder / name / "action.lua").read_text() for name in names
        }


def test_the_scripts_write_the_annotations_that_the_operator_reads() -> None:
    folder = actions_of("AutoResponse")
    waiting = load(folder / "testdata" / "waiting.yaml")
    request = waiting["status"]["request"]["id"]
    for action, wanted in (
        ("pause", {PAUSED_UNTIL: "true"}),
        ("approve", {APPROVED: request}),
        ("reject", {REJECTED: request}),
    ):
        found = run(folder / action / "action.lua", waiting)
        assert found["metadata"]["annotations"] == wanted
