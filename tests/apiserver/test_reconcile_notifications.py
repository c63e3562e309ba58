"""Passes over the notifications of a stack: a real API server and a real Alertmanager."""

import json
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import yaml

from firewatch.api.resource import Key, Object
from firewatch.build import names
from firewatch.build.alertmanager_config import config_revision
from firewatch.build.watchdog import render_watchdog_rules
from firewatch.cluster.kinds import ALERT_POLICY, MONITORING_STACK, SECRET
from firewatch.reconcile import sources
from firewatch.reconcile.arrivals import Arrivals
from firewatch.reconcile.context import NOTIFICATIONS, RULES
from firewatch.reconcile.deliveries import notifying
from firewatch.reconcile.notifications import NotificationsReconciler
from firewatch.reconcile.rules import RulesReconciler
from firewatch.reconcile.tellers import gather_tellers
from tests.apiserver.node import loopback
from tests.apiserver.scene import Scene, eventually
from tests.apiserver.teller import TellerNode, running_teller
from tests.apiserver.world import World, make_world

pytestmark = pytest.mark.usefixtures("crds", "role")

GENERATED = "main-alertmanager-config"
HOOK: Object = {"name": "hook", "webhook": [{"url": "http://hook.example/"}]}
CHAT: Object = {"name": "chat", "slack": [{"apiUrl": {"name": "chat", "key": "url"}}]}
ROUTE: Object = {"receiver": "hook", "routes": [{"matchers": ["a=b"], "receiver": "chat"}]}
URL = "https://chat.example/secret-of-chat"


@pytest_asyncio.fixture
async def node(world: World, tmp_path: Path, numbers: Iterator[int]) -> AsyncIterator[TellerNode]:
    async with running_teller(world, tmp_path, loopback(18, next(numbers))) as found:
        yield found


class Passes:
    """Passes over the stack ``main`` and over its notifications."""

    def __init__(self, world: World) -> None:
        self.world = world
        self._notifications = NotificationsReconciler(world.context)
        self._rules = RulesReconciler(world.context)

    async def go(self) -> float | None:
        """Make as many passes as it takes when each wakes the other; return the last delay."""
        await self.world.go()
        await self.rules()
        delay = await self.only()
        await self.rules()
        await self.world.go()
        return delay

    async def only(self) -> float | None:
        return await self._notifications.reconcile(Key(NOTIFICATIONS, self.world.namespace, "main"))

    async def rules(self) -> None:
        await self._rules.reconcile(Key(RULES, self.world.namespace, "main"))

    async def routed(self, policy: str) -> tuple[str, str, str]:
        """Return the condition Routed of a policy."""
        status = (await self.world.get(ALERT_POLICY, policy))["status"]
        found = {each["type"]: each for each in status["conditions"]}["Routed"]
        return found["status"], found["reason"], found["message"]

    async def status(self) -> Any:
        return (await self.world.get(MONITORING_STACK, "main"))["status"]

    def secret(self, **data: str) -> None:
        body = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "chat", "namespace": self.world.namespace},
            "stringData": data,
        }
        self.world.kubectl("apply", "-f", "-", text=json.dumps(body))


@pytest.fixture
def passes(world: World) -> Passes:
    return Passes(world)


def alerting(**changes: Any) -> Object:
    return {"alerting": {"receivers": [HOOK, CHAT], "route": ROUTE} | changes}


async def test_a_stack_is_made_and_a_second_round_writes_nothing(
    world: World, passes: Passes
) -> None:
    passes.secret(url=URL)
    world.apply(alerting())
    await passes.go()
    assert world.recorder.written() == [
        "apply Service/main-alertmanager-pods",
        "apply Service/main-alertmanager",
        "apply StatefulSet/main-alertmanager",
        "jsonPatch MonitoringStack/main/status",
        f"apply Secret/{GENERATED}",
        "jsonPatch MonitoringStack/main/status",
        "jsonPatch MonitoringStack/main/status",
    ]
    secret = await world.get(SECRET, GENERATED)
    held = {name: b64decode(text).decode() for name, text in secret["data"].items()}
    assert URL in held.values()
    assert URL not in held[names.ALERTMANAGER_CONFIG_KEY]
    assert secret["metadata"]["ownerReferences"][0]["controller"] is True
    await passes.go()
    await Passes(world).go()
    assert world.recorder.written() == []


async def test_no_secret_byte_leaves_the_secrets(world: World, passes: Passes) -> None:
    passes.secret(url=URL)
    world.apply(alerting())
    await passes.go()
    for kind in ("mstack", "statefulset", "service", "configmap", "event"):
        shown = world.kubectl("-n", world.namespace, "get", kind, "-o", "json")
        assert "secret-of-chat" not in shown


async def test_a_missing_and_a_half_filled_secret_are_named_and_the_rest_is_written(
    world: World, passes: Passes
) -> None:
    world.apply(alerting())
    await passes.go()
    assert (await world.conditions())["SecretsPresent"] == ("False", "SecretNotFound")
    assert (await world.conditions())["RoutesAccepted"] == ("True", "RoutesAccepted")
    passes.secret(other="x")
    await passes.go()
    assert (await world.conditions())["SecretsPresent"] == ("False", "SecretIncomplete")
    status = (await passes.status())["alerting"]
    assert [each["path"] for each in status["leftOut"]] == ["spec.alerting.receivers[1].slack[0]"]
    assert (status["receivers"], status["secret"]) == (1, GENERATED)
    passes.secret(url=URL)
    await passes.go()
    assert (await world.conditions())["SecretsPresent"] == ("True", "SecretsPresent")


async def test_bad_settings_are_named_with_their_field(world: World, passes: Passes) -> None:
    passes.secret(url=URL)
    bad = {"name": "bad", "webhook": [{"url": "nowhere"}]}
    routes = [{"matchers": ["my-label=x"]}, {"matchers": ["a=b"], "receiver": "chat"}]
    world.apply(alerting(receivers=[HOOK, CHAT, bad], route={"receiver": "hook", "routes": routes}))
    await passes.go()
    assert (await world.conditions())["RoutesAccepted"] == ("False", "BadUrl")
    status = (await passes.status())["alerting"]
    assert [(each["path"], each["reason"]) for each in status["leftOut"]] == [
        ("spec.alerting.receivers[2].webhook[0]", "BadUrl"),
        ("spec.alerting.route.routes[0].matchers", "BadMatcher"),
    ]
    assert [(row["depth"], row["matchers"], row["receiver"]) for row in status["routes"]] == [
        (0, "", "hook"),
        (1, 'alertname="Watchdog", namespace=""', "firewatch/nobody"),
        (1, 'firewatch_escalation=~".+"', "firewatch/nobody"),
        (1, "", "hook"),
        (2, 'a="b"', "chat"),
    ]


async def test_alertmanager_loads_it_and_follows_a_rotated_secret(
    world: World, passes: Passes, node: TellerNode
) -> None:
    passes.secret(url=URL)
    world.apply(alerting())
    await node.create_pod()
    delay = await passes.go()
    assert (await world.conditions())["AlertmanagerLoaded"] == ("True", "Loaded")
    assert delay is not None
    assert delay <= 60
    before = config_revision((await node.api.state()).configuration)
    passes.secret(url=URL + "-rotated")
    await passes.only()
    assert config_revision((await node.api.state()).configuration) != before
    credentials = [path.read_text() for path in node.folder.glob("credential-*")]
    assert credentials == [URL + "-rotated"]


async def test_a_condition_never_speaks_of_a_newer_spec_than_it_has_seen(
    world: World, passes: Passes, node: TellerNode
) -> None:
    """Otherwise ``kubectl wait`` would return before the change is in force."""
    passes.secret(url=URL)
    world.apply(alerting())
    await node.create_pod()
    await passes.go()
    world.apply(alerting(resolveTimeout="7m"))
    await world.go()
    assert (await world.conditions())["AlertmanagerLoaded"] == ("Unknown", "NotWritten")
    await passes.go()
    assert (await world.conditions())["AlertmanagerLoaded"] == ("True", "Loaded")


async def test_a_secret_of_the_right_name_that_is_not_ours_is_left_alone(
    world: World, passes: Passes
) -> None:
    world.kubectl(
        "-n", world.namespace, "create", "secret", "generic", GENERATED, "--from-literal=a=b"
    )
    world.apply(alerting())
    await passes.go()
    assert (await world.conditions())["AlertmanagerLoaded"] == ("False", "Conflict")
    assert list((await world.get(SECRET, GENERATED))["data"]) == ["a"]


async def test_without_the_block_everything_goes(world: World, passes: Passes) -> None:
    passes.secret(url=URL)
    world.apply(alerting())
    await passes.go()
    world.apply({})
    await passes.go()
    assert not await world.is_there(SECRET, GENERATED)
    assert await world.is_there(SECRET, "chat")
    assert "alerting" not in await passes.status()
    assert "AlertmanagerLoaded" not in await world.conditions()


def policy(namespace: str, name: str = "p", **spec: Any) -> str:
    rules = [{"alert": "A", "expr": "up"}]
    receiver = {"name": "mine", "slack": [{"apiUrl": {"name": "chat", "key": "url"}}]}
    body = {
        "apiVersion": "monitoring.freeagentics.io/v1alpha1",
        "kind": "AlertPolicy",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "groups": [{"name": "g", "rules": rules}],
            "receivers": [receiver],
            "routes": [{"matchers": ["a=b"], "receiver": "mine"}],
        }
        | spec,
    }
    return json.dumps(body)


async def test_a_bad_route_of_one_policy_is_named_there_and_the_other_policy_is_routed(
    world: World, passes: Passes, node: TellerNode
) -> None:
    passes.secret(url=URL)
    world.apply(alerting() | {"metrics": {}})
    world.kubectl("apply", "-f", "-", text=policy(world.namespace, "good"))
    bad = [{"matchers": ["a-b=c"], "receiver": "mine"}]
    world.kubectl("apply", "-f", "-", text=policy(world.namespace, "bad", routes=bad))
    await node.create_pod()
    await passes.go()
    assert (await passes.routed("good"))[:2] == ("True", "Routed")
    assert (await passes.routed("bad"))[:2] == ("False", "BadMatcher")
    assert (await passes.routed("bad"))[2].startswith("spec.routes[0].matchers: ")
    live = await world.get(ALERT_POLICY, "bad")
    assert [each["path"] for each in live["status"]["leftOut"]] == ["spec.routes[0].matchers"]
    assert f"{world.namespace}/good/mine" in (await node.api.state()).configuration
    # What a policy has wrong is not the stack's to put right.
    assert (await world.conditions())["RoutesAccepted"] == ("True", "RoutesAccepted")
    world.recorder.writes.clear()
    await passes.go()
    again = Passes(
        make_world(
            world.recorder, world.context.session, namespace=world.namespace, kubectl=world.kubectl
        )
    )
    await again.go()
    assert world.recorder.written() == []


@pytest.fixture
def refused(monkeypatch: pytest.MonkeyPatch) -> Object:
    """Return a time interval that gets past the checks, and that Alertmanager refuses.

    Its time zone seems to be known to this machine.
    """
    monkeypatch.setattr(sources, "_is_zone", lambda _name: True)
    spans = [{"weekdays": ["monday"], "location": "Middle/Earth"}]
    return {"name": "night", "timeIntervals": spans}


async def test_what_alertmanager_refuses_of_policies_does_not_stop_the_stacks_own(
    world: World, passes: Passes, node: TellerNode, refused: Object
) -> None:
    passes.secret(url=URL)
    world.apply(alerting() | {"metrics": {}})
    world.kubectl("apply", "-f", "-", text=policy(world.namespace, timeIntervals=[refused]))
    await node.create_pod()
    await passes.go()
    await passes.go()  # by now the settings that were put back have reached the pod
    assert (await passes.routed("p"))[:2] == ("False", "RejectedByServer")
    assert "Middle/Earth" in (await passes.routed("p"))[2]
    assert (await world.conditions())["AlertmanagerLoaded"] == ("True", "Loaded")
    assert "chat" in (await node.api.state()).configuration
    world.recorder.writes.clear()
    await passes.go()
    assert world.recorder.written() == []
    world.kubectl("apply", "-f", "-", text=policy(world.namespace))
    await passes.go()
    assert (await passes.routed("p"))[:2] == ("True", "Routed")


async def test_only_the_policy_that_alertmanager_refuses_is_left_out(
    world: World, passes: Passes, node: TellerNode, refused: Object
) -> None:
    passes.secret(url=URL)
    world.apply(alerting() | {"metrics": {}})
    for name in ("a", "b", "c", "d", "e"):
        more: Object = {"timeIntervals": [refused]}
        text = policy(world.namespace, name, **(more if name in "bd" else {}))
        world.kubectl("apply", "-f", "-", text=text)
    await node.create_pod()
    for _ in range(3):
        await passes.go()
    found = {name: (await passes.routed(name))[1] for name in ("a", "b", "c", "d", "e")}
    assert found == {
        **dict.fromkeys(("a", "c", "e"), "Routed"),
        **dict.fromkeys(("b", "d"), "RejectedByServer"),
    }
    assert (await world.conditions())["AlertmanagerLoaded"] == ("True", "Loaded")
    world.recorder.writes.clear()
    await passes.go()
    assert world.recorder.written() == []
    live = await world.get(MONITORING_STACK, "main")
    (row,) = [each for each in live["status"]["components"] if each["name"] == "alertmanager"]
    assert row["version"] == (await node.api.state()).version
    world.recorder.writes.clear()
    restarted = Passes(world)
    for _ in range(2):
        await restarted.go()
    assert world.recorder.written() == []


async def test_an_alertmanager_that_does_not_hear_the_watchdog_is_named(
    world: World, node: TellerNode
) -> None:
    await node.create_pod()
    (teller,) = await gather_tellers(world.context, namespace=world.namespace, stack="main")
    arrivals, now = Arrivals(), datetime.now(UTC)
    later = now + timedelta(minutes=3)
    assert await arrivals.look([teller], now) == []
    await node.api.send([{"labels": {"alertname": "Watchdog", "namespace": "somebody's"}}])
    assert await arrivals.look([teller], later) == [node.name]
    assert notifying([], lonely=[], deaf=[node.name]).reason == "WatchdogMissing"
    (group,) = yaml.safe_load(render_watchdog_rules())["groups"]
    (rule,) = group["rules"]
    await node.api.send([{"labels": {"alertname": rule["alert"], **rule["labels"]}}])
    assert await arrivals.look([teller], later) == []


async def test_a_policy_may_only_say_whom_others_alerts_are_told(
    world: World, passes: Passes, node: TellerNode
) -> None:
    passes.secret(url=URL)
    world.apply(alerting() | {"metrics": {}})
    world.kubectl("apply", "-f", "-", text=policy(world.namespace, groups=[]))
    await node.create_pod()
    await passes.go()
    assert (await passes.routed("p"))[:2] == ("True", "Routed")
    assert "mine" in (await node.api.state()).configuration


async def test_a_policy_whose_stack_has_no_alertmanager_says_so(
    world: World, passes: Passes
) -> None:
    world.apply({"metrics": {}})
    world.kubectl("apply", "-f", "-", text=policy(world.namespace))
    await passes.go()
    assert (await passes.routed("p"))[:2] == ("False", "NoAlertmanager")


async def test_routes_that_have_just_been_changed_are_not_routed_yet(
    world: World, passes: Passes, node: TellerNode
) -> None:
    passes.secret(url=URL)
    world.apply(alerting() | {"metrics": {}})
    world.kubectl("apply", "-f", "-", text=policy(world.namespace))
    await node.create_pod()
    await passes.go()
    changed = [{"matchers": ["x=y"], "receiver": "mine"}]
    world.kubectl("apply", "-f", "-", text=policy(world.namespace, routes=changed))
    await passes.rules()
    assert (await passes.routed("p"))[:2] == ("Unknown", "NotWritten")
    await passes.go()
    assert (await passes.routed("p"))[:2] == ("True", "Routed")


async def test_a_prometheus_that_does_not_find_its_alertmanager_is_said(ready: Scene) -> None:
    """Here no name of a Service resolves; what fires now would not be told."""
    ready.stack(metrics={}, alerting=alerting()["alerting"])
    found = await eventually(
        lambda found: found.get("Notifying", ("", ""))[1] == "NotConnected",
        ready.world.conditions,
        seconds=30,
    )
    assert found["Notifying"] == ("Unknown", "NotConnected")
    assert found["Ready"][0] != "True"
