"""Notification settings as Alertmanager's configuration: what is at fault is left out, alone."""

from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from firewatch.api.stack import MonitoringStackSpec
from firewatch.build.alertmanager_config import (
    Notifications,
    config_revision,
    render_notifications,
)
from firewatch.build.notifying import Contents, Owner, SettingError, Sources
from firewatch.build.objects import Stack
from firewatch.build.receivers import check_url
from firewatch.build.routing import NOBODY

Data = dict[str, Any]
HOOK: Data = {"name": "hook", "webhook": [{"url": "http://hook.example/x"}]}
SLACK: Data = {"name": "slack", "slack": [{"apiUrl": {"name": "chat", "key": "url"}}]}
URL = b"https://slack.example/services/T0/B0/secret"


def render(sources: Sources | None = None, **alerting: Any) -> Notifications:
    block = {"receivers": [HOOK], "route": {"receiver": "hook"}} | alerting
    spec = MonitoringStackSpec.model_validate({"alerting": block})
    assert spec.alerting
    return render_notifications(Stack("shop", "a", "u", spec), spec.alerting, sources or Sources())


def secrets(**data: bytes) -> Sources:
    return Sources(secrets={("shop", "chat"): Contents("1", data)})


def config(found: Notifications) -> Any:
    return yaml.safe_load(found.config)


def own_routes(found: Notifications) -> Any:
    return config(found)["route"]["routes"][-1].get("routes")


def reasons(found: Notifications) -> list[tuple[str, str]]:
    return [(each.path, each.reason) for each in found.left_out]


def test_a_secret_stands_in_a_file_and_nowhere_in_the_configuration() -> None:
    found = render(secrets(url=URL), receivers=[HOOK, SLACK])
    receiver = config(found)["receivers"][1]
    path = receiver["slack_configs"][0]["api_url_file"]
    assert found.files[path.removeprefix("/etc/alertmanager/config/")] == URL
    assert "slack.example" not in found.config
    assert found.left_out == []


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (None, "SecretNotFound"),
        ({"other": URL}, "SecretIncomplete"),
        ({"url": b" \n"}, "SecretIncomplete"),
        ({"url": b"no url"}, "BadUrl"),
        ({"url": b"\xff"}, "BadUrl"),
    ],
)
def test_a_bad_secret_costs_one_receiver_and_its_alerts_go_to_the_route_above(
    data: dict[str, bytes] | None, reason: str
) -> None:
    found = render(
        secrets(**data) if data else Sources(),
        receivers=[HOOK, SLACK],
        route={"receiver": "hook", "routes": [{"matchers": ["a=b"], "receiver": "slack"}]},
    )
    assert reasons(found) == [("spec.alerting.receivers[1].slack[0]", reason)]
    assert "slack_configs" not in config(found)["receivers"][1]
    assert own_routes(found) == [{"matchers": ['a="b"']}]
    assert [row.receiver for row in found.rows if row.matchers == 'a="b"'] == ["hook"]


def test_an_unusable_root_receiver_tells_nobody_and_the_routes_stay() -> None:
    found = render(
        receivers=[HOOK, SLACK],
        route={"receiver": "slack", "routes": [{"matchers": ["a=b"], "receiver": "hook"}]},
    )
    assert config(found)["route"]["receiver"] == NOBODY
    assert own_routes(found) == [{"matchers": ['a="b"'], "receiver": "hook"}]


@pytest.mark.parametrize(
    ("receiver", "reason"),
    [
        ({"webhook": [{"url": "not a url"}]}, "BadUrl"),
        ({"webhook": [{"url": "http://x/{{ .Foo"}]}, "BadUrl"),
        ({"webhook": [{"url": "ftp://x/"}]}, "BadUrl"),
        ({"email": [{"to": "a@b.example"}]}, "NoSmtp"),
        (
            {"slack": [{"apiUrl": {"name": "chat", "key": "url"}, "title": "{{ end }}"}]},
            "BadTemplate",
        ),
        (
            {"slack": [{"apiUrl": {"name": "chat", "key": "url"}, "text": "{{ humanize 1 }}"}]},
            "BadTemplate",
        ),
    ],
)
def test_a_bad_integration_costs_only_itself(receiver: Data, reason: str) -> None:
    mixed: Data = {"name": "mixed"} | receiver
    mixed["webhook"] = [*receiver.get("webhook", ()), {"url": "https://good.example/"}]
    found = render(secrets(url=URL), receivers=[HOOK, mixed])
    assert [reason for _, reason in reasons(found)] == [reason]
    assert config(found)["receivers"][1]["webhook_configs"] == [{"url": "https://good.example/"}]
    assert len(config(found)["receivers"][1]) == 2


@pytest.mark.parametrize(
    ("route", "path", "reason"),
    [
        ({"matchers": ["my-label=x"]}, "routes[0].matchers", "BadMatcher"),
        ({"matchers": ['a=~"("']}, "routes[0].matchers", "BadMatcher"),
        ({"receiver": "nobody"}, "routes[0].receiver", "ReceiverNotFound"),
        ({"groupBy": ["no-label"]}, "routes[0].groupBy", "BadLabel"),
        ({"groupBy": ["...", "a"]}, "routes[0].groupBy", "BadLabel"),
        ({"repeatInterval": "0s"}, "routes[0].repeatInterval", "BadTime"),
        ({"muteTimeIntervals": ["night"]}, "routes[0].muteTimeIntervals", "IntervalNotFound"),
        (
            {"routes": [{"matchers": ["=x"], "receiver": "hook"}]},
            "routes[0].routes[0].matchers",
            "BadMatcher",
        ),
    ],
)
def test_a_bad_route_is_named_and_the_next_one_stands(route: Data, path: str, reason: str) -> None:
    good = {"matchers": ["b=c"], "receiver": "hook"}
    found = render(route={"receiver": "hook", "routes": [route, good]})
    assert reasons(found) == [(f"spec.alerting.route.{path}", reason)]
    assert own_routes(found)[-1] == {"matchers": ['b="c"'], "receiver": "hook"}


@pytest.mark.parametrize(
    ("span", "reason"),
    [
        ({"weekdays": ["friday:monday"]}, "BadTime"),
        ({"months": ["december:1"]}, "BadTime"),
        ({"years": ["2027:2026"]}, "BadTime"),
        ({"daysOfMonth": ["40"]}, "BadTime"),
        ({"daysOfMonth": ["-1:3"]}, "BadTime"),
        ({"times": [{"startTime": "18:00", "endTime": "08:00"}]}, "BadTime"),
        ({"location": "Middle/Earth"}, "BadLocation"),
    ],
)
def test_a_bad_time_interval_mutes_nothing(span: Data, reason: str) -> None:
    found = render(
        timeIntervals=[{"name": "night", "timeIntervals": [span]}],
        route={"receiver": "hook", "routes": [{"muteTimeIntervals": ["night"]}]},
    )
    assert reasons(found) == [("spec.alerting.timeIntervals[0]", reason)]
    assert own_routes(found) == [{}]


def test_a_missing_password_costs_the_mail_and_nothing_else() -> None:
    smtp = {"smarthost": "mail:25", "from": "a@b", "authPassword": {"name": "chat", "key": "p"}}
    mail = {"name": "mail", "email": [{"to": "c@d"}]}
    found = render(smtp=smtp, receivers=[HOOK, mail])
    assert reasons(found) == [
        ("spec.alerting.smtp", "SecretNotFound"),
        ("spec.alerting.receivers[1].email[0]", "NoSmtp"),
    ]
    assert found.ways == [("hook", "webhook")]
    assert "smtp_smarthost" not in config(found)["global"]


def test_a_template_that_does_not_parse_is_left_out() -> None:
    good, bad = '{{ define "a" }}x{{ end }}', '{{ define "b" }}'
    templates = [{"name": "good", "content": good}, {"name": "bad", "content": bad}]
    found = render(templates=templates)
    assert reasons(found) == [("spec.alerting.templates[1]", "BadTemplate")]
    assert found.files == {"template-good.tmpl": good.encode()}
    assert config(found)["templates"][0] == "/etc/alertmanager/config/template-good.tmpl"


def test_the_revision_follows_every_change_and_says_nothing_of_a_password() -> None:
    receivers = [HOOK, SLACK]
    one = render(secrets(url=URL), receivers=receivers)
    same = render(
        Sources(secrets={("shop", "chat"): Contents("1", {"url": URL + b"x"})}), receivers=receivers
    )
    rotated = render(
        Sources(secrets={("shop", "chat"): Contents("2", {"url": URL})}), receivers=receivers
    )
    template = render(
        secrets(url=URL), receivers=receivers, templates=[{"name": "a", "content": "x"}]
    )
    assert one.revision == same.revision != ""
    assert len({one.revision, rotated.revision, template.revision}) == 3
    assert config_revision(yaml.safe_dump(config(one))) == one.revision
    assert config_revision("route: {}") is None


@pytest.mark.parametrize(
    "block",
    [
        {"route": {"receiver": "other"}},
        {"watchdog": {"receiver": "other"}},
        {"receivers": [{"name": "firewatch/x"}], "route": {"receiver": "firewatch/x"}},
        {"extraArgs": ["--config.file=x"]},
    ],
)
def test_a_block_that_cannot_mean_anything_is_refused(block: Data) -> None:
    with pytest.raises(ValidationError):
        render(**block)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:9093/-/quit",
        "http://169.254.169.254/",
        "http://[::1]/",
        "https://kubernetes.default.svc/api",
        "http://127.0.0.1:1/",
    ],
)
def test_a_policy_cannot_reach_into_the_cluster_and_a_stack_can(url: str) -> None:
    with pytest.raises(SettingError):
        check_url(url, Owner("team", "team/a", foreign=True))
    assert check_url(url, Owner("shop")) == url


TEXTS = st.text(max_size=60).filter(lambda text: "{{" not in text)


@given(text=TEXTS, label=TEXTS)
def test_any_text_comes_back_as_a_leaf(text: str, label: str) -> None:
    """What a user writes cannot become part of the structure."""
    slack = SLACK["slack"][0] | {"title": text, "text": text, "channel": text}
    matcher = 'a="' + label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'
    plain = render(secrets(url=URL), receivers=[HOOK, SLACK])
    found = render(
        secrets(url=URL),
        receivers=[HOOK, {"name": "slack", "slack": [slack]}],
        route={"receiver": "hook", "routes": [{"matchers": [matcher]}]},
    )
    expected, ours = config(plain), config(found)
    expected["receivers"][1]["slack_configs"][0] |= {"title": text, "text": text, "channel": text}
    expected["route"]["routes"][-1] = {"routes": [{"matchers": [matcher]}]}
    expected["templates"] = ours["templates"]
    assert ours == expected
