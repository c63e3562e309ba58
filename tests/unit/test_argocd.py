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

ROOT = Path(__file__).parents[2]
SCRIPTS = ROOT / "argocd" / "resource_customizations" / GROUP
KINDS = sorted(path.name for path in SCRIPTS.iterdir())
ACTIONS = SCRIPTS / "MonitoringStack" / "actions"
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


@pytest.mark.parametrize("test", load(ACTIONS / "action_test.yaml")["discoveryTests"])
def test_the_actions_that_are_offered(test: dict[str, Any]) -> None:
    found = run(ACTIONS / "discovery.lua", load(ACTIONS / test["inputPath"]))
    assert [{"name": name, **found[name]} for name in sorted(found)] == test["result"]


@pytest.mark.parametrize("test", load(ACTIONS / "action_test.yaml")["actionTests"])
def test_what_an_action_does(test: dict[str, Any]) -> None:
    found = run(ACTIONS / test["action"] / "action.lua", load(ACTIONS / test["inputPath"]))
    assert found["spec"] == load(ACTIONS / test["expectedOutputPath"])["spec"]


def test_every_kind_has_the_same_health_check() -> None:
    assert {custom.kind for custom in CUSTOM_KINDS} <= set(KINDS)
    assert len({(SCRIPTS / kind / "health.lua").read_text() for kind in KINDS}) == 1


def test_the_config_map_for_a_running_argo_cd_has_the_same_scripts() -> None:
    for kind in KINDS:
        key = f"resource.customizations.health.{GROUP}_{kind}"
        assert DATA[key] == (SCRIPTS / kind / "health.lua").read_text()
    actions = yaml.safe_load(DATA[f"resource.customizations.actions.{GROUP}_MonitoringStack"])
    assert actions["discovery.lua"] == (ACTIONS / "discovery.lua").read_text()
    assert {each["name"]: each["action.lua"] for each in actions["definitions"]} == {
        name: (ACTIONS / name / "action.lua").read_text() for name in ("pause", "resume")
    }
