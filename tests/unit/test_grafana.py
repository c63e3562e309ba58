"""Grafana's settings and data sources, as Grafana reads them."""

import re
from typing import Any

import jmespath
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from firewatch.api.oauth import Roles
from firewatch.api.plain import Plain, WebUrl
from firewatch.api.stack import MonitoringStackSpec
from firewatch.api.visualization import Visualization
from firewatch.build.grafana.data_sources import REVISION, build_data_sources
from firewatch.build.grafana.settings import build_settings, role_expression
from firewatch.build.grafana.workload import build_grafana
from firewatch.build.objects import Stack
from firewatch.build.surroundings import Surroundings
from tests.provisioning import as_grafana_reads

PLAIN: TypeAdapter[str] = TypeAdapter(Plain)
URL: TypeAdapter[str] = TypeAdapter(WebUrl)
EXPANDED = re.compile(r"\$|%\(|\$\(")
"""What Grafana or kubelet looks for in a setting."""
SECRET = {"name": "s", "key": "k"}


def settings(**block: Any) -> dict[str, str]:
    return build_settings(Visualization.model_validate(block))


def stack(**spec: Any) -> Stack:
    return Stack("shop", "main", "u", MonitoringStackSpec.model_validate(spec))


def sources(found: Stack, around: Surroundings | None = None) -> Any:
    assert found.spec.visualization
    made = build_data_sources(found, found.spec.visualization, around or Surroundings("r:1"))
    return as_grafana_reads(yaml.safe_load(made.text))


def is_plain(text: str) -> bool:
    try:
        PLAIN.validate_python(text)
    except ValidationError:
        return False
    return True


groups = st.lists(
    st.text("ab|&@*[](),.é ", min_size=1, max_size=2).filter(is_plain), max_size=3, unique=True
)


@given(admins=groups, editors=groups, viewers=groups, member=groups)
def test_the_first_role_whose_group_somebody_is_in_counts(
    admins: list[str], editors: list[str], viewers: list[str], member: list[str]
) -> None:
    roles = Roles(admins=admins, editors=editors, viewers=viewers)
    expression = role_expression(roles, "groups")
    if not expression:
        return
    found = jmespath.search(expression, {"groups": member})
    ranks = (("Admin", admins), ("Editor", editors), ("Viewer", viewers))
    expected = [role for role, wanted in ranks if {*wanted} & {*member}]
    assert (found or None) == (expected[0] if expected else None if viewers else "Viewer")


@given(text=st.text(max_size=20))
def test_no_text_that_is_taken_has_anything_to_expand(text: str) -> None:
    for adapter in (PLAIN, URL):
        try:
            adapter.validate_python(text)
        except ValidationError:
            continue
        assert not EXPANDED.search(text)
        assert text == text.strip()


@given(
    st.recursive(
        st.text() | st.integers() | st.booleans() | st.none(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
        max_leaves=8,
    )
)
def test_what_a_data_source_is_set_to_arrives_as_it_was_written(value: Any) -> None:
    source = {"name": "a", "type": "b", "jsonData": {"x": value}}
    (found,) = sources(stack(visualization={"dataSources": [source]}))["datasources"]
    assert found["jsonData"].pop(REVISION)
    assert found["jsonData"] == {"x": value}


def test_the_revision_follows_every_change_and_shows_no_credential() -> None:
    base: dict[str, Any] = {"name": "a", "type": "b", "secureJsonData": {"token": SECRET}}
    found = stack(visualization={"dataSources": [base]})
    assert found.spec.visualization
    (ref,) = found.spec.visualization.data_sources[0].secure_json_data.values()

    def revision(version: str, content: bytes = b"x", **change: Any) -> str:
        wanted = stack(visualization={"dataSources": [{**base, **change}]})
        assert wanted.spec.visualization
        around = Surroundings("r:1", versions={ref: version}, contents={ref: content})
        return build_data_sources(wanted, wanted.spec.visualization, around).revision

    assert revision("1") == revision("1", b"guess")
    assert len({revision("1"), revision("2"), revision("1", url="http://a")}) == 3


def test_prometheus_is_the_default_unless_somebody_says_otherwise() -> None:
    other = {"name": "a", "type": "b"}
    for chosen in (True, False):
        block = {"dataSources": [{**other, "isDefault": chosen}]}
        found = sources(stack(metrics={}, visualization=block))["datasources"]
        assert [each["isDefault"] for each in found] == [not chosen, chosen]


def test_a_default_that_is_left_out_leaves_it_to_prometheus() -> None:
    other = {"name": "a", "type": "b", "isDefault": True, "secureJsonData": {"token": SECRET}}
    found = stack(metrics={}, visualization={"dataSources": [other]})
    assert found.spec.visualization
    missing = frozenset(found.spec.visualization.data_sources[0].secure_json_data.values())
    (only,) = sources(found, Surroundings("r:1", missing=missing))["datasources"]
    assert (only["name"], only["isDefault"]) == ("Prometheus", True)


@pytest.mark.parametrize(
    ("block", "expected"),
    [
        ({}, {}),
        ({"domain": "a.b"}, {"SERVER_DOMAIN": "a.b", "SERVER_ROOT_URL": "http://a.b/"}),
        (
            {"rootUrl": "https://a.b/grafana"},
            {
                "SERVER_ROOT_URL": "https://a.b/grafana",
                "SERVER_SERVE_FROM_SUB_PATH": "true",
                "SECURITY_COOKIE_SECURE": "true",
            },
        ),
        (
            {"rootUrl": "https://a.b/"},
            {"SERVER_ROOT_URL": "https://a.b/", "SECURITY_COOKIE_SECURE": "true"},
        ),
    ],
)
def test_the_address(block: dict[str, str], expected: dict[str, str]) -> None:
    names = ("SERVER_DOMAIN", "SERVER_ROOT_URL", "SERVER_SERVE_FROM_SUB_PATH")
    found = {
        name: value
        for name in (*names, "SECURITY_COOKIE_SECURE")
        if (value := settings(**block).get(f"GF_{name}"))
    }
    assert found == expected


def test_each_setting_has_one_value_and_the_users_own_wins() -> None:
    extra = [{"name": "GF_LOG_MODE", "value": "syslog"}, {"name": "A", "value": "b"}]
    found = stack(visualization={"extraEnv": extra})
    assert found.spec.visualization
    objects = build_grafana(found, found.spec.visualization, Surroundings("r:1"))
    pod = objects[-1]["spec"]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        env = {each["name"]: each["value"] for each in container["env"]}
        assert len(env) == len(container["env"])
        assert (env["GF_LOG_MODE"], env["A"]) == ("syslog", "b")


@pytest.mark.parametrize("name", ["GF_SECURITY_ADMIN_PASSWORD", "GF_DATABASE_URL__FILE"])
def test_what_belongs_to_firewatch_is_refused_in_extra_env(name: str) -> None:
    with pytest.raises(ValidationError, match=f"{name} belongs to Firewatch"):
        Visualization.model_validate({"extraEnv": [{"name": name, "value": "x"}]})


@pytest.mark.parametrize(
    ("block", "said"),
    [
        ({"replicas": 2}, "more than 1 need database"),
        (
            {
                "replicas": 2,
                "storage": {"size": "1Gi"},
                "database": {"host": "a", "password": SECRET},
            },
            "it is for one replica",
        ),
        ({"login": {"disableLoginForm": True}}, "nobody could log in"),
        (
            {
                "login": {
                    each: {"clientId": "a", "clientSecret": SECRET, "autoLogin": True}
                    for each in ("github", "google")
                }
            },
            "only one provider can have it",
        ),
    ],
)
def test_what_cannot_work_is_refused_by_the_command_line_too(
    block: dict[str, Any], said: str
) -> None:
    with pytest.raises(ValidationError, match=said):
        Visualization.model_validate(block)
