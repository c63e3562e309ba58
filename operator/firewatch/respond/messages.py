"""What a message says (pure): placeholders filled in, cut to a length, in the form of each channel.

What stands in alerts is never taken for anything but text. There is one pass over the template, what is
filled in is not looked at again, and it can neither begin a line nor hold a channel's markup.
"""

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import parseaddr

from firewatch.api.notices import PLACEHOLDER, Moment, Notice, Notify, Severity
from firewatch.api.resource import Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.build.names import short_hash
from firewatch.respond.signals import Signal

DEFAULT = (
    "{moment}: {happened}\n{summary}\n{description}\n"
    "AutoResponse {response} in namespace {namespace}\n{target}"
)
"""What is said where an action has no ``message``."""
LONGEST_TEXT = 3000
_LONGEST_SUBJECT = 200
_LONGEST_VALUE = 256
_LONGEST_NAME = 160
_MOST_VALUES = 16
_CUT = "…"
_NEVER = "0001-01-01T00:00:00Z"
"""How Alertmanager's JSON says that an alert has not ended."""

_TOKEN = re.compile(rf"\{{\{{|\}}\}}|\{{({PLACEHOLDER})\}}")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)
"""Characters that are not text, or turn the direction of what follows; line feed and tab are fine."""
_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]*")

Escape = Callable[[str], str]
"""Takes a channel's markup out of what is filled in."""


@dataclass(frozen=True)
class Speaker:
    """The AutoResponse in whose name something is said."""

    namespace: str
    name: str
    uid: str
    spec: AutoResponseSpec

    @property
    def target(self) -> str:
        """Return kind and name of what it changes; empty if it changes nothing."""
        target = self.spec.target
        return f"{target.kind} {target.name}" if target else ""


def _as_it_is(text: str) -> str:
    return text


@dataclass(frozen=True)
class Letter:
    """One message, before it takes the form of a channel."""

    speaker: Speaker
    notice: Notice
    template: str

    def text(self, escape: Escape = _as_it_is) -> str:
        """Return the whole text."""
        lines = [_fill(line, self.values, escape) for line in self.template.splitlines()]
        text = "\n".join(line for line in lines if line is not None)
        return shorten(_UNSEEN.sub("", text).strip() or self.notice.moment, LONGEST_TEXT)

    @property
    def subject(self) -> str:
        """Return the first line of the text."""
        return shorten(self.text().splitlines()[0], _LONGEST_SUBJECT)

    @property
    def values(self) -> dict[str, str]:
        """Return what is filled in, by placeholder."""
        notice, speaker = self.notice, self.speaker
        return {
            **notice.values,
            "moment": notice.moment,
            "happened": clean(notice.happened, len(notice.happened)),
            "alert": clean(notice.alert),
            "response": speaker.name,
            "namespace": speaker.namespace,
            "target": speaker.target,
            "mode": speaker.spec.mode,
            "time": notice.at,
        }

    @property
    def is_end(self) -> bool:
        """Tell whether everything is as before."""
        return self.notice.moment is Moment.RESTORED


def write_letter(speaker: Speaker, notice: Notice, notify: Notify) -> Letter:
    """Return a message in the words of an action."""
    return Letter(speaker, notice, notify.message or DEFAULT)


def _fill(line: str, values: dict[str, str], escape: Escape) -> str | None:
    """Return a line with its placeholders filled in; None if they were all that it held."""

    def fill(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        return escape(values.get(match[1], ""))

    filled = _TOKEN.sub(fill, line)
    return filled if filled.strip() or not line.strip() else None


def clean(text: str, limit: int = _LONGEST_VALUE) -> str:
    """Return a text as one line without what is no text, cut to a length."""
    return shorten(" ".join(_UNSEEN.sub(" ", text).split()), limit)


def shorten(text: str, limit: int) -> str:
    """Return a text cut to a length, which is then to be seen."""
    return text if len(text) <= limit else text[: limit - len(_CUT)] + _CUT


def alert_values(spec: AutoResponseSpec, signal: Signal) -> dict[str, str]:
    """Return what the messages of an AutoResponse will say of an alert that fires."""
    alert = signal.alert
    assert alert is not None
    labels = {f"labels.{name}": value for name, value in alert.labels.items()}
    known = {"count": str(signal.count), **alert.annotations, **labels}
    templates = [notify.message or DEFAULT for notify in spec.tells.values()]
    wanted = {match[1] for text in templates for match in _TOKEN.finditer(text) if match[1]}
    names = sorted(name for name in wanted & known.keys() if len(name) <= _LONGEST_NAME)
    return {name: clean(known[name]) for name in names[:_MOST_VALUES]}


def describe(notify: Notify) -> str:
    """Return whom an action tells, in words; no address that is a secret."""
    return shorten(_whom(notify), _LONGEST_VALUE)


def _whom(notify: Notify) -> str:
    if notify.slack:
        return f"Slack (Secret {notify.slack.api_url.name})"
    if notify.pagerduty:
        return f"PagerDuty (Secret {notify.pagerduty.routing_key.name})"
    if notify.webhook and notify.webhook.url_secret:
        return f"webhook (Secret {notify.webhook.url_secret.name})"
    if notify.webhook and notify.webhook.url:
        host = notify.webhook.url.partition("//")[2].partition("/")[0]
        return f"webhook {host}"
    if notify.email:
        first, *others = notify.email.to
        more = f" and {len(others)} more" if others else ""
        return f"e-mail to {first}{more}"
    return f"receiver {notify.receiver}"


def escape_slack(text: str) -> str:
    """Return a text in which Slack finds no link, mention or command."""
    return html.escape(text, quote=False)


def slack_body(letter: Letter, options: Object) -> Object:
    """Return what an incoming webhook of Slack takes."""
    return {**options, "text": letter.text(escape_slack)}


def pagerduty_body(letter: Letter, *, key: str, severity: Severity) -> Object:
    """Return an event of PagerDuty's Events API v2; events of one alert have one key."""
    notice, speaker = letter.notice, letter.speaker
    return {
        "routing_key": key,
        "event_action": "resolve" if letter.is_end else "trigger",
        "dedup_key": notice.incident,
        "client": "Firewatch",
        "payload": {
            "summary": letter.subject,
            "source": f"{speaker.namespace}/{speaker.name}",
            "severity": severity,
            "timestamp": notice.at,
            "component": speaker.target,
            "class": notice.moment,
            "custom_details": _facts(letter),
        },
    }


def service_body(letter: Letter, *, key: str) -> Object:
    """Return an event of PagerDuty's older API, which its Prometheus integrations take."""
    return {
        "service_key": key,
        "event_type": "resolve" if letter.is_end else "trigger",
        "incident_key": letter.notice.incident,
        "client": "Firewatch",
        "description": letter.subject,
        "details": _facts(letter),
    }


def webhook_body(letter: Letter, *, receiver: str) -> Object:
    """Return the JSON of Alertmanager's webhook, and what has happened beside it."""
    notice, speaker = letter.notice, letter.speaker
    status = "resolved" if letter.is_end else "firing"
    labels = {
        "namespace": speaker.namespace,
        **_labels(notice),
        "alertname": clean(notice.alert),
    }
    annotations = {"summary": letter.subject, "description": letter.text()}
    alert = {
        "status": status,
        "labels": labels,
        "annotations": annotations,
        "startsAt": notice.since,
        "endsAt": notice.at if letter.is_end else _NEVER,
        "generatorURL": "",
        "fingerprint": notice.incident,
    }
    return {
        "version": "4",
        "groupKey": f"firewatch/{speaker.namespace}/{speaker.name}/{notice.incident}",
        "truncatedAlerts": 0,
        "status": status,
        "receiver": receiver,
        "groupLabels": {"alertname": labels["alertname"]},
        "commonLabels": labels,
        "commonAnnotations": annotations,
        "externalURL": "",
        "alerts": [alert],
        "firewatch": _facts(letter),
    }


def _labels(notice: Notice) -> dict[str, str]:
    """Return the alert's labels, as far as messages quote them."""
    named = (name.partition("labels.") for name in notice.values)
    return {name: notice.values[mark + name] for before, mark, name in named if not before and mark}


def _facts(letter: Letter) -> Object:
    notice, speaker = letter.notice, letter.speaker
    return {
        "id": notice.id,
        "moment": notice.moment,
        "alert": clean(notice.alert),
        "happened": letter.values["happened"],
        "response": speaker.name,
        "namespace": speaker.namespace,
        "target": speaker.target,
        "mode": speaker.spec.mode,
        "text": letter.text(),
    }


def mail(letter: Letter, *, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Return an e-mail in plain text; mails about one alert are one thread.

    The same message has the same id, so that a mailbox may tell a repetition.
    """
    found = EmailMessage()
    found["From"] = clean(sender)
    found["To"] = ", ".join(recipients)
    found["Subject"] = letter.subject
    found["Message-ID"] = _message_id(letter, letter.notice.id, sender)
    if letter.notice.moment is not Moment.OPENED:
        first = _message_id(letter, opened_id(letter.notice.incident), sender)
        found["In-Reply-To"] = first
        found["References"] = first
    found["Auto-Submitted"] = "auto-generated"
    found.set_content(letter.text() + "\n", cte="quoted-printable")
    return found


def opened_id(incident: str) -> str:
    """Return the id of the message that an incident begins with."""
    return f"{incident}-{Moment.OPENED}"


def _message_id(letter: Letter, notice: str, sender: str) -> str:
    domain = parseaddr(sender)[1].rpartition("@")[2]
    known = domain if _DOMAIN.fullmatch(domain) else "firewatch.invalid"
    return f"<{short_hash(f'{letter.speaker.uid}/{notice}', 20)}@{known}>"
