"""What Alertmanager's own tool says about everything that is built for it."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from e2e.cluster import binaries, programs
from e2e.cluster.progress import SilentProgress
from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.alertmanager_config import render_notifications
from firewatch.build.matchers import Matcher
from firewatch.build.notifying import Sources
from firewatch.build.objects import Stack
from firewatch.build.regexes import check_regex
from firewatch.build.yaml_text import dump_yaml
from tests.golden import building
from tests.golden.test_stack import GOLDEN
from tests.unit.test_examples import runbook_block

Amtool = Callable[..., subprocess.CompletedProcess[str]]
CASES = [case for case in building.STACK_CASES if building.stack(case).spec.alerting]
FOLDER = "/etc/alertmanager/config"


@pytest.fixture(scope="session")
def amtool() -> Amtool:
    program = programs.program("amtool", SilentProgress())

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=False, timeout=60
        )

    return run


def golden(case: str) -> str:
    return GOLDEN[building.STACKS / f"{case}.alertmanager.golden"]


def write(folder: Path, case: str) -> Path:
    """Write the configuration and its files as the pod has them."""
    told = building.notifications(case)
    assert told
    for name, content in told.files.items():
        (folder / name).write_bytes(content)
    path = folder / "alertmanager.yml"
    path.write_text(golden(case).replace(FOLDER, str(folder)))
    return path


@pytest.mark.parametrize("case", CASES)
def test_the_configurations_are_good(amtool: Amtool, tmp_path: Path, case: str) -> None:
    result = amtool("check-config", write(tmp_path, case))
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        (["severity=critical"], "pagerduty"),
        (["severity=warning"], "slack"),
        (["alertname=Any"], "web.hook"),
        (["alertname=Watchdog", "severity=none"], "firewatch/nobody"),
        (["alertname=Watchdog", "namespace=team"], "web.hook"),
    ],
)
def test_the_runbooks_alerts_go_where_it_says(
    amtool: Amtool, tmp_path: Path, labels: list[str], receiver: str
) -> None:
    path = write(tmp_path, "runbook")
    result = amtool("config", "routes", "test", f"--config.file={path}", *labels)
    assert result.stdout.strip() == receiver


def test_the_runbooks_alertmanager_configuration_key_by_key() -> None:
    """All is equal but what no file should hold, and ``match``, which Alertmanager gives up."""
    _, runbook = runbook_block("Alertmanager Configuration")
    ours = yaml.safe_load(golden("runbook"))
    for key, value in runbook["global"].items():
        assert ours["global"][key] == value
    route = ours["route"]
    watchdog, _, own = route["routes"]
    for key, value in runbook["route"].items():
        if key != "routes":
            assert route[key] == value
    assert own == {"routes": [_with_matchers(each) for each in runbook["route"]["routes"]]}
    assert watchdog["receiver"] == "firewatch/nobody"
    wanted = [_with_files(receiver) for receiver in runbook["receivers"]]
    shown = [_without_paths(receiver) for receiver in ours["receivers"]]
    assert shown == [*wanted, {"name": "firewatch/nobody"}]


def _with_matchers(route: Any) -> Any:
    found = {**route}
    match = found.pop("match")
    return {**found, "matchers": [f'{name}="{value}"' for name, value in match.items()]}


def _with_files(receiver: Any) -> Any:
    """Return a receiver of the runbook with the names of files in place of its variables."""
    found = {**receiver}
    for kind, secret in (("pagerduty_configs", "service_key"), ("slack_configs", "api_url")):
        for config in found.get(kind, ()):
            assert config.pop(secret).startswith("${")
            config[f"{secret}_file"] = FOLDER
    return found


def _without_paths(receiver: Any) -> Any:
    for kind, configs in receiver.items():
        for config in configs if kind.endswith("_configs") else ():
            for key in [key for key in config if key.endswith("_file")]:
                config[key] = config[key].rpartition("/")[0]
    return receiver


@given(text=st.text(max_size=30).filter(lambda text: "{{" not in text))
@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_whatever_users_write_the_configuration_is_good(
    amtool: Amtool, tmp_path: Path, text: str
) -> None:
    receiver = {"name": "r", "pagerduty": [], "webhook": [{"url": "http://a.example"}]}
    mail = {"to": "a@b", "text": text, "html": text, "headers": {"Subject": text}}
    block = {
        "smtp": {"smarthost": "m:25", "from": "a@b"},
        "receivers": [receiver, {"name": "m", "email": [mail]}],
        "route": {
            "receiver": "r",
            "routes": [{"matchers": [str(Matcher("a", "=", text))], "receiver": "m"}],
        },
    }
    spec = MonitoringStackSpec.model_validate({"alerting": block})
    assert spec.alerting
    told = render_notifications(Stack("n", "s", "u", spec), spec.alerting, Sources())
    assert told.left_out == []
    path = tmp_path / "alertmanager.yml"
    path.write_text(told.config)
    result = amtool("check-config", path)
    assert result.returncode == 0, (text, result.stdout, result.stderr)


PIECES = (
    *("a", "b", "|", "(", ")", "(?:", "(?i)", "(?P<n>", "(?=", "[", "]", "[^", "a-z", "-", "z-a"),
    *(".", "*", "+", "?", "{2}", "{2,3}", "{3,2}", "{,2}", "{1001}", "{500}", "^", "$", "é", "\n"),
    *(
        "\\d",
        "\\w",
        "\\.",
        "\\\\",
        "\\b",
        "\\1",
        "\\Z",
        "\\pL",
        "\\x41",
        "\\-",
        "\\_",
        "[[:alpha:]]",
    ),
    *("[\\d]", "[\\w-z]", "[a-\\d]", "&&", "#", " ", "<", ">", "=", ",", ":", "!", "~", "@", "/"),
)


@pytest.mark.parametrize("seed", range(2))
def test_expressions_that_pass_are_good_for_go(tmp_path: Path, seed: int) -> None:
    """One that slips through would stop all notifications; promtool reads many at once."""
    source = random.Random(seed)
    texts = {"".join(source.choices(PIECES, k=source.randint(1, 7))) for _ in range(3000)}
    passed = sorted(filter(_passes, texts))
    assert len(passed) > 300
    rules = [
        {"alert": f"A{index}", "expr": "up{" + str(Matcher("a", "=~", text)) + "}"}
        for index, text in enumerate(passed)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(dump_yaml({"groups": [{"name": "g", "rules": rules}]}))
    promtool = binaries.ensure(["promtool"], SilentProgress()) / "promtool"
    result = subprocess.run(
        [promtool, "check", "rules", "--lint=none", path],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def _passes(text: str) -> bool:
    try:
        check_regex(text)
    except ValueError:
        return False
    return True
