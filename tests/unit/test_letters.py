"""What messages say: nothing of an alert is taken for anything but text, in any channel."""

import json
import re
from email import message_from_bytes, policy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.notices import PLACEHOLDER, Moment, Notice, Notify, Severity
from firewatch.api.responses import AutoResponseSpec
from firewatch.respond.messages import (
    LONGEST_TEXT,
    Letter,
    Speaker,
    alert_values,
    clean,
    describe,
    escape_slack,
    mail,
    pagerduty_body,
    service_body,
    slack_body,
    webhook_body,
    write_letter,
)
from firewatch.respond.webhook import parse_message
from tests.unit.test_notices import START, firing

URL = {"url": "https://hook.example/x"}
RULE = Notify.model_json_schema()["properties"]["message"]["x-kubernetes-validations"][0]["rule"]
TAKEN = re.compile(RULE.removeprefix("self.matches(r'").removesuffix("')"))
"""What the API server takes as a message."""
NASTY = st.text() | st.sampled_from(
    [
        *("<!channel>", "{alert}", "{{alert}}", "{labels.x}", "a\nBcc: x@evil.example", "\x00"),
        *("\u202egnp.exe", "\ud800", "%s{0}", "${x}", "<https://evil.example|ok>", "x" * 5000),
    ]
)


def speaker(*tells: dict[str, Any], target: bool = True) -> Speaker:
    actions: list[dict[str, Any]] = [{"notify": each} for each in tells or ({"webhook": URL},)]
    scale = {"scaleUp": {"by": 1, "maxReplicas": 9}}
    spec = {
        "trigger": {"alert": "Hot"},
        "actions": [scale, *actions] if target else actions,
        "mode": "enforce",
        **({"target": {"kind": "StatefulSet", "name": "db"}} if target else {}),
    }
    return Speaker("shop", "r", "uid", AutoResponseSpec.model_validate(spec))


def notice(moment: Moment = Moment.OPENED, happened: str = "Hot fires", /, **values: str) -> Notice:
    return Notice(
        id=f"abc-{moment}",
        incident="abc",
        since="2026-01-01T00:00:00.000Z",
        moment=moment,
        alert="Hot",
        happened=happened,
        at="2026-01-01T00:01:00.000Z",
        values=values,
        pending=[1],
    )


def letter(message: str | None = None, found: Notice | None = None, **options: Any) -> Letter:
    notify = Notify.model_validate({"webhook": URL, **({"message": message} if message else {})})
    return write_letter(speaker(**options), found or notice(), notify)


def test_the_text_without_a_template_says_what_who_and_where() -> None:
    assert letter(found=notice(summary="too hot")).text() == (
        "opened: Hot fires\ntoo hot\nAutoResponse r in namespace shop\nStatefulSet db"
    )
    assert letter(target=False).text() == "opened: Hot fires\nAutoResponse r in namespace shop"


def test_every_placeholder_has_a_value() -> None:
    names = [name for name in PLACEHOLDER.split("|") if not name.startswith("labels")]
    text = " ".join(f"{name}={{{name}}}" for name in names) + " {labels.pod} {{x}}"
    values = {"count": "2", "summary": "s", "description": "d", "labels.pod": "p"}
    assert TAKEN.fullmatch(text)
    assert letter(text, notice(**values)).text() == (
        "moment=opened happened=Hot fires alert=Hot count=2 summary=s description=d response=r"
        " namespace=shop target=StatefulSet db mode=enforce time=2026-01-01T00:01:00.000Z p {x}"
    )


@pytest.mark.parametrize(
    "text", ["{", "}", "{}", "{x}", "{alert", "{ alert }", "{{alert}", "{labels.}", "{labels.a-b}"]
)
def test_what_is_no_placeholder_is_refused_by_the_api_server(text: str) -> None:
    assert not TAKEN.fullmatch(text)


@given(st.from_regex(TAKEN, fullmatch=True))
def test_what_is_taken_is_filled_in_and_nothing_is_left_over(text: str) -> None:
    rest = re.sub(r"\{\{|\}\}", "", text)
    filled = re.sub(rf"\{{({PLACEHOLDER})\}}", "", rest)
    assert not {"{", "}"} & {*filled}
    assert len(letter(text or "x").text()) <= LONGEST_TEXT


@given(NASTY, NASTY)
def test_what_is_filled_in_is_not_looked_at_again_and_begins_no_line(
    summary: str, label: str
) -> None:
    values = {"summary": clean(summary), "labels.pod": clean(label)}
    found = letter("a{summary}b\nc{labels.pod}d", notice(**values))
    first, second = found.text().split("\n")
    assert (first, second) == (f"a{values['summary']}b", f"c{values['labels.pod']}d")
    assert found.subject == first or len(first) > 200
    assert found.text().encode()


@given(NASTY)
def test_slack_finds_no_markup_in_what_is_filled_in(text: str) -> None:
    body = slack_body(letter("<!here> {summary}", notice(summary=clean(text))), {"channel": "#a"})
    assert body["channel"] == "#a"
    assert body["text"].startswith("<!here>"), "the author may call whom they like"
    rest = body["text"].removeprefix("<!here>")
    assert not {"<", ">"} & {*rest}
    assert len(body["text"]) <= LONGEST_TEXT
    assert escape_slack("&<") == "&amp;&lt;"


@given(NASTY, st.sampled_from(Moment))
def test_a_mail_has_the_headers_that_it_is_given_and_no_others(text: str, moment: Moment) -> None:
    found = letter("{summary}\n{summary}", notice(moment, summary=clean(text)))
    made = mail(found, sender="Fire <fire@a.example>", recipients=["b@a.example", "c@a.example"])
    read = message_from_bytes(made.as_bytes(policy=policy.SMTP), policy=policy.default)
    own = {"From", "To", "Subject", "Message-ID", "Auto-Submitted"}
    body = {"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}
    thread = set() if moment is Moment.OPENED else {"In-Reply-To", "References"}
    assert {*read} == own | body | thread
    assert read["To"] == "b@a.example, c@a.example"
    assert read["Message-ID"].endswith("@a.example>")
    content = read.get_body()
    assert content
    assert content.get_content().split() == found.text().split()


def test_mails_about_one_alert_are_one_thread_and_a_repetition_has_the_same_id() -> None:
    def headers(moment: Moment) -> dict[str, str]:
        written = letter(found=notice(moment))
        made = mail(written, sender="fire@a.example", recipients=["b@a.example"])
        return dict(made.items())

    first, second = headers(Moment.OPENED), headers(Moment.RESTORED)
    assert second["In-Reply-To"] == first["Message-ID"] != second["Message-ID"]
    assert headers(Moment.OPENED) == first


@pytest.mark.parametrize(
    ("moment", "action"),
    [
        (Moment.OPENED, "trigger"),
        (Moment.ACTED, "trigger"),
        (Moment.FAILED, "trigger"),
        (Moment.RESTORED, "resolve"),
    ],
)
def test_pagerduty_resolves_what_it_was_told_before(moment: Moment, action: str) -> None:
    written = letter(found=notice(moment))
    event = pagerduty_body(written, key="k", severity=Severity.WARNING)
    assert (event["event_action"], event["dedup_key"], event["routing_key"]) == (action, "abc", "k")
    assert event["payload"]["summary"] == f"{moment}: Hot fires"
    assert event["payload"]["severity"] == "warning"
    older = service_body(written, key="k")
    assert (older["event_type"], older["incident_key"]) == (action, "abc")
    assert older["service_key"] == "k"


@pytest.mark.parametrize("moment", Moment)
def test_who_reads_alertmanagers_webhooks_reads_ours(moment: Moment) -> None:
    found = letter("{happened} {labels.pod}", notice(moment, **{"labels.pod": "a"}))
    body = webhook_body(found, receiver="team")
    read = parse_message(json.dumps(body).encode(), external=(), now=START)
    (alert,) = read.alerts
    assert (alert.name, alert.labels["pod"]) == ("Hot", "a")
    assert alert.state == ("resolved" if moment is Moment.RESTORED else "firing")
    assert alert.annotations["summary"] == "Hot fires a"
    assert read.problems == ()
    assert body["firewatch"]["moment"] == moment
    assert body["firewatch"]["text"] == found.text()


def test_of_an_alert_only_that_is_kept_which_messages_quote() -> None:
    quoting = {"webhook": URL, "message": "{summary} {labels.pod} {labels.none} {count}"}
    found = alert_values(speaker(quoting).spec, firing(summary="too\nhot", description="long"))
    assert found == {"count": "2", "labels.pod": "a", "summary": "too hot"}
    assert alert_values(speaker().spec, firing(summary="too hot")) == {"summary": "too hot"}


KEY = {"name": "team", "key": "k"}


@pytest.mark.parametrize(
    ("notify", "words"),
    [
        ({"receiver": "a b"}, "receiver a b"),
        ({"slack": {"apiUrl": KEY}}, "Slack (Secret team)"),
        ({"slack": {"apiUrl": {**KEY, "name": "a" * 253}}}, f"Slack (Secret {'a' * 241}…"),
        ({"pagerduty": {"routingKey": KEY}}, "PagerDuty (Secret team)"),
        ({"webhook": {"urlSecret": KEY}}, "webhook (Secret team)"),
        ({"webhook": {"url": "https://a.example:1/t0ken/x"}}, "webhook a.example:1"),
        ({"email": {"to": ["a@b.example", "c@d.example"]}}, "e-mail to a@b.example and 1 more"),
    ],
)
def test_whom_an_action_tells_is_said_without_a_secret(notify: Any, words: str) -> None:
    assert describe(Notify.model_validate(notify)) == words
