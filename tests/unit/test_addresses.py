"""Whom an action tells: addresses and credentials by reference, and what is said if one is missing."""

import ssl
from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

import pytest

from firewatch.api.notices import Notify
from firewatch.api.resource import Object
from firewatch.cluster.client import Write
from firewatch.cluster.errors import ForbiddenError, NotFoundError
from firewatch.cluster.kinds import MONITORING_STACK, SECRET, Kind
from firewatch.respond.addresses import AddressError, Directory, HttpWay, MailWay, NoWay, Way
from firewatch.settings import parse_settings
from tests.unit.test_letters import letter

URL = "https://hook.example/services/T0/secret"
SMTP = {"smarthost": "mail.example:587", "from": "Fire <fire@a.example>"}
Objects = list[Object]


def key(name: str) -> Object:
    return {"name": "team", "key": name}


@dataclass
class Space:
    """A namespace with one Secret, and a stack."""

    secret: dict[str, str] | None = field(default_factory=dict)
    alerting: Object | None = None
    readable: bool = True

    async def get(self, kind: Kind, namespace: str, name: str) -> Object:
        assert namespace == "shop"
        if kind is MONITORING_STACK and name == "main" and self.alerting is not None:
            return {"spec": {"alerting": self.alerting}}
        if kind is SECRET and not self.readable:
            raise ForbiddenError("secrets is forbidden")
        if kind is SECRET and name == "team" and self.secret is not None:
            return {"data": {k: b64encode(v.encode()).decode() for k, v in self.secret.items()}}
        raise NotFoundError(name)

    async def list(self, *arguments: Any, **options: Any) -> Objects:
        raise NotImplementedError

    async def write(self, write: Write) -> Object:
        raise NotImplementedError


async def find(
    space: Space, notify: Object, *, granted: str = "shop", stack: str = "main"
) -> list[Way | NoWay]:
    settings = parse_settings({"FIREWATCH_SOURCE_NAMESPACES": granted})
    directory = Directory(space, settings, "shop", stack)
    return await directory.find(Notify.model_validate(notify))


async def find_http(space: Space, notify: Object) -> HttpWay:
    (way,) = await find(space, notify)
    assert isinstance(way, HttpWay), way
    return way


async def find_mail(space: Space, notify: Object) -> MailWay:
    (way,) = await find(space, notify)
    assert isinstance(way, MailWay), way
    return way


async def problem(space: Space, notify: Object) -> str:
    (way,) = await find(space, notify)
    assert isinstance(way, NoWay), way
    return way.problem


async def test_each_channel_is_found_by_its_secret_and_shows_none_of_it() -> None:
    space = Space({"url": URL + "\n", "key": "routing-key", "token": "t0ken"})
    slack = await find_http(space, {"slack": {"apiUrl": key("url"), "channel": "#a"}})
    assert (slack.name, slack.url) == ("slack", URL)
    assert slack.render(letter())["channel"] == "#a"
    pager = await find_http(space, {"pagerduty": {"routingKey": key("key")}})
    assert pager.url == "https://events.pagerduty.com/v2/enqueue"
    assert pager.render(letter())["routing_key"] == "routing-key"
    secret_hook = {"urlSecret": key("url"), "bearerToken": key("token")}
    hook = await find_http(space, {"webhook": secret_hook})
    assert hook.headers == {"Authorization": "Bearer t0ken"}
    basic = {"username": "u", "password": key("token")}
    other = await find_http(space, {"webhook": {"url": "http://a.example", "basicAuth": basic}})
    assert other.headers == {"Authorization": "Basic " + b64encode(b"u:t0ken").decode()}
    shown = repr((slack, pager, hook, other))
    assert not any(secret in shown for secret in ("secret", "routing-key", "t0ken", "dTp0"))


async def test_a_mail_goes_by_the_server_that_is_named_or_by_the_stacks() -> None:
    smtp = {**SMTP, "authUsername": "me", "authPassword": key("pw"), "hello": "here"}
    space = Space({"pw": "pass-word"}, {**alerting(), "smtp": SMTP})
    way = await find_mail(space, {"email": {"to": ["a@b.example"], "smtp": smtp}})
    assert (way.host, way.port, way.hello) == ("mail.example", 587, "here")
    assert (way.user, way.password) == ("me", "pass-word")
    assert "pass-word" not in repr(way)
    way = await find_mail(space, {"email": {"to": ["a@b.example"]}})
    assert (way.host, way.user, way.recipients) == ("mail.example", "", ("a@b.example",))
    v6 = {**SMTP, "smarthost": "[2001:db8::1]:465"}
    way = await find_mail(space, {"email": {"to": ["a@b.example"], "smtp": v6}})
    assert (way.host, way.is_encrypted_at_once) == ("2001:db8::1", True)


async def test_who_takes_any_certificate_takes_that_of_any_name() -> None:
    hook = {"url": URL, "tls": {"insecureSkipVerify": True, "serverName": "a.example"}}
    tls = (await find_http(Space(), {"webhook": hook})).tls
    assert tls.context
    assert (tls.context.verify_mode, tls.context.check_hostname) == (ssl.CERT_NONE, False)
    assert tls.server_name == "a.example"


def alerting(*receivers: Object) -> Object:
    found = receivers or ({"name": "team"},)
    return {"receivers": [*found], "route": {"receiver": found[0]["name"]}}


async def test_of_a_receiver_all_ways_are_used_but_not_their_texts() -> None:
    receiver = {
        "name": "team",
        "slack": [{"apiUrl": key("url"), "channel": "{{ .x }}", "username": "fire", "text": "x"}],
        "pagerduty": [{"serviceKey": key("key")}, {"routingKey": key("key"), "severity": "info"}],
        "webhook": [{"url": "http://a.example", "httpConfig": {"bearerToken": key("token")}}],
        "email": [{"to": "A <a@b.example>, c@b.example", "from": "{{ .x }}"}],
    }
    space = Space(
        {"url": URL, "key": "routing-key", "token": "t"}, {**alerting(receiver), "smtp": SMTP}
    )
    ways = await find(space, {"receiver": "team"}, granted="")
    assert [way.name for way in ways] == [
        *("slack[0]", "pagerduty[0]", "pagerduty[1]", "webhook[0]", "email[0]"),
    ]
    slack, older, pager, hook, mails = ways
    assert isinstance(slack, HttpWay)
    body = slack.render(letter())
    assert ("channel" in body, body["username"], body["text"] == "x") == (False, "fire", False)
    assert isinstance(older, HttpWay)
    assert older.render(letter())["service_key"] == "routing-key"
    assert isinstance(pager, HttpWay)
    assert pager.render(letter())["payload"]["severity"] == "info"
    assert isinstance(hook, HttpWay)
    assert hook.headers == {"Authorization": "Bearer t"}
    assert isinstance(mails, MailWay)
    assert mails.recipients == ("a@b.example", "c@b.example")
    assert mails.sender == SMTP["from"]


async def test_one_way_that_cannot_be_used_does_not_cost_the_others() -> None:
    receiver = {
        "name": "team",
        "slack": [{"apiUrl": key("none")}],
        "webhook": [{"url": "http://a.example"}],
        "email": [{"to": "{{ .to }}"}],
    }
    space = Space({}, {**alerting(receiver), "smtp": SMTP})
    slack, hook, mails = await find(space, {"receiver": "team"})
    assert isinstance(hook, HttpWay)
    assert str(slack) == "slack[0]: key none of Secret team is missing; create it"
    assert str(mails).startswith("email[0]: to holds something else than addresses")


@pytest.mark.parametrize(
    ("secret", "notify", "words"),
    [
        ({}, {"slack": {"apiUrl": key("url")}}, "key url of Secret team is missing; create it"),
        (None, {"slack": {"apiUrl": key("url")}}, "key url of Secret team is missing; create it"),
        ({"url": "\n"}, {"slack": {"apiUrl": key("url")}}, "is missing; create it"),
        ({"url": "s3cret"}, {"slack": {"apiUrl": key("url")}}, "holds no URL that begins with"),
        ({"url": "a\nb"}, {"pagerduty": {"routingKey": key("url")}}, "more than one line"),
        ({"ca": "x"}, {"webhook": {"url": URL, "tls": {"ca": key("ca")}}}, "no certificate in PEM"),
        ({}, {"email": {"to": ["a@b.example"]}}, "has no alerting.smtp; add it, or set smtp here"),
    ],
)
async def test_what_is_missing_or_unfit_is_named_with_a_remedy_and_not_shown(
    secret: dict[str, str] | None, notify: Object, words: str
) -> None:
    found = await problem(Space(secret, alerting()), notify)
    assert words in found
    assert "s3cret" not in found


@pytest.mark.parametrize(
    ("options", "notify", "words"),
    [
        ({}, {"receiver": "nobody"}, "MonitoringStack main has no receiver nobody; add it"),
        ({}, {"receiver": "team"}, "receiver team of MonitoringStack main tells nobody"),
        ({"stack": ""}, {"receiver": "team"}, "there is no MonitoringStack"),
        ({"stack": "gone"}, {"receiver": "team"}, "there is no MonitoringStack"),
        ({"granted": "x"}, {"slack": {"apiUrl": key("url")}}, "add it to sources.namespaces"),
    ],
)
async def test_that_nobody_can_be_told_is_said_with_a_remedy(
    options: dict[str, Any], notify: Object, words: str
) -> None:
    with pytest.raises(AddressError, match=words):
        await find(Space({"url": URL}, alerting()), notify, **options)


async def test_a_url_that_is_no_secret_needs_no_right_to_secrets() -> None:
    (way,) = await find(Space(readable=False), {"webhook": {"url": URL}}, granted="")
    assert isinstance(way, HttpWay)
    found = await problem(Space(readable=False), {"slack": {"apiUrl": key("url")}})
    assert "may not read key url of Secret team; add namespace shop to" in found
