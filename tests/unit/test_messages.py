"""The recorder answers as the services do, and keeps what was sent to them."""

import json
import smtplib
import urllib.error
import urllib.request
from collections.abc import Iterator
from email.message import EmailMessage

import pytest

from e2e.messages import Recorder, record


@pytest.fixture
def recorder() -> Iterator[Recorder]:
    with record("127.0.0.1") as recorder:
        yield recorder


def post(url: str, content: object) -> tuple[int, bytes]:
    request = urllib.request.Request(url, json.dumps(content).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=5) as answer:
        return answer.status, answer.read()


def test_each_channel_keeps_its_own_messages(recorder: Recorder) -> None:
    assert post(recorder.slack_url, {"channel": "#alerts", "text": "CPU"}) == (200, b"ok")
    status, answer = post(recorder.pagerduty_url, {"event_action": "trigger"})
    assert status == 202
    assert json.loads(answer)["status"] == "success"
    assert post(recorder.webhook_url, {"status": "firing"}) == (200, b"")
    assert [message.channel for message in recorder.messages()] == ["slack", "pagerduty", "webhook"]
    assert recorder.messages("slack")[0].content == {"channel": "#alerts", "text": "CPU"}
    assert [message.channel for message in recorder.messages(word="trigger")] == ["pagerduty"]


def test_a_mail_is_kept_with_its_subject_and_text(recorder: Recorder) -> None:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.com", "b@example.com", "Überlast"
    mail.set_content("CPU usage is above 80%")
    host, _, port = recorder.smarthost.partition(":")
    with smtplib.SMTP(host, int(port), timeout=5) as client:
        client.send_message(mail)
    (message,) = recorder.messages("email")
    assert message.content["from"] == "a@example.com"
    assert message.content["to"] == ["b@example.com"]
    assert message.content["subject"] == "Überlast"
    assert "above 80%" in message.content["body"]


def test_a_refused_channel_keeps_nothing_until_it_is_taken_again(recorder: Recorder) -> None:
    recorder.refuse("slack", 503)
    with pytest.raises(urllib.error.HTTPError, match="503"):
        post(recorder.slack_url, {"text": "CPU"})
    assert not recorder.messages()
    recorder.refuse("slack", 0)
    post(recorder.slack_url, {"text": "CPU"})
    assert len(recorder.messages("slack")) == 1
