"""What Alertmanager mutes, as a real one says it, and what that means for an episode."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import yaml

from firewatch.api.conditions import good
from firewatch.api.resource import Object
from firewatch.api.responses import AutoResponseSpec
from firewatch.build import names
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.respond.alerts import identify, own_labels, parse_pushed
from firewatch.respond.external import external_key
from firewatch.respond.registry import Entry, Sources, source_key
from firewatch.respond.signals import RuleState, SourceState, judge
from firewatch.respond.silences import Silencing
from tests.apiserver.episodes import Episodes
from tests.apiserver.node import loopback
from tests.apiserver.scene import eventually
from tests.apiserver.teller import running_alertmanager

pytestmark = pytest.mark.usefixtures("crds")

NOWHERE = "http://127.0.0.1:9"
EXTERNAL = frozenset({"cluster"})
CONFIG = {
    "route": {"receiver": "nobody"},
    "receivers": [{"name": "nobody"}],
    "inhibit_rules": [
        {"source_matchers": ["alertname=Down"], "target_matchers": ["alertname=Slow"]},
    ],
}


def alert(name: str) -> Object:
    labels = {"alertname": name, "instance": "n1", "cluster": "test"}
    return {"labels": labels, "annotations": {}, "startsAt": datetime.now(UTC).isoformat()}


async def silence(session: aiohttp.ClientSession, server: Alertmanager, name: str) -> str:
    now = datetime.now(UTC)
    body = {
        "matchers": [{"name": "alertname", "value": name, "isRegex": False, "isEqual": True}],
        "startsAt": now.isoformat(),
        "endsAt": (now + timedelta(hours=1)).isoformat(),
        "createdBy": "test",
        "comment": "test",
    }
    async with session.post(f"{server.url}/api/v2/silences", json=body) as answer:
        assert answer.status == 200, await answer.text()
        found: Object = await answer.json()
        return str(found["silenceID"])


async def test_alertmanager_says_what_a_silence_mutes_and_what_another_alert_inhibits(
    tmp_path: Path, numbers: Iterator[int]
) -> None:
    address = loopback(19, next(numbers))
    async with aiohttp.ClientSession() as session:
        server = Alertmanager(session, f"http://{address}:{names.ALERTMANAGER_PORT}")

        async def muted() -> set[str]:
            return {each.labels["alertname"] for each in await server.alerts() if each.is_muted}

        with pytest.raises(AlertmanagerError):
            await server.alerts()
        async with running_alertmanager(server, tmp_path, address, yaml.safe_dump(CONFIG)):
            await server.send([alert("Hot"), alert("Slow"), alert("Full")])
            assert await muted() == set()
            assert len(await server.alerts()) == 3
            assert len(await server.alerts('alertname=~"Hot|Full"', 'instance="n1"')) == 2
            known = await silence(session, server, "Hot")
            await eventually(lambda found: found == {"Hot"}, muted, seconds=10)
            await server.send([alert("Down")])
            await eventually(lambda found: found == {"Hot", "Slow"}, muted, seconds=10)
            (hot,) = await server.alerts('alertname="Hot"')
            pushed = parse_pushed(alert("Hot"), external=EXTERNAL, now=datetime.now(UTC))
            assert identify(own_labels(hot.labels, EXTERNAL)) == pushed.identity
            async with session.delete(f"{server.url}/api/v2/silence/{known}"):
                await eventually(lambda found: found == {"Slow"}, muted, seconds=10)


@dataclass
class Listener:
    """An AutoResponse that heeds the silences of an Alertmanager, and the polls of its source."""

    silencing: Silencing
    entry: Entry
    alert: Object

    @classmethod
    def of(
        cls, cluster: KubernetesCluster, server: Alertmanager, name: str, sources: Sources
    ) -> "Listener":
        """Return one that listens to an alert."""
        spec = AutoResponseSpec.model_validate(
            {
                "trigger": {"alert": name},
                "target": {"name": "api"},
                "actions": [{"scaleUp": {"by": 1, "maxReplicas": 4}}],
                "source": {"prometheus": {"url": NOWHERE}, "alertmanager": {"url": server.url}},
                "recovery": {"onSilence": "release"},
            }
        )
        key = external_key("shop", "scale")
        live = {"metadata": {"namespace": "shop", "name": "scale"}}
        entry = Entry(live, spec, good("Accepted", "Accepted", "x"), key)
        sources.configure(key, EXTERNAL)
        return cls(Silencing(cluster, server.session, sources), entry, alert(name))

    async def ask(self) -> str:
        """Have Prometheus say that the alert fires, and ask Alertmanager; return what follows."""
        now, (key, sources) = datetime.now(UTC), (self.entry.source, self.silencing.sources)
        assert key
        found = parse_pushed(self.alert, external=EXTERNAL, now=now)
        rule = RuleState(
            name=found.name,
            labels={},
            healthy=True,
            error="",
            evaluated_at=now,
            interval=timedelta(seconds=1),
            hold=timedelta(0),
            has_data=True,
            alerts=(found,),
        )
        state = SourceState(now, started_at=now - timedelta(hours=1), rules=(rule,))
        sources.polled(key, await self.silencing.add_muted(key, [self.entry], state))
        return judge(self.entry.spec.trigger, sources.known_to(self.entry), now).reason

    async def until(self, reason: str) -> None:
        await eventually(lambda found: found == reason, self.ask, seconds=10)


async def test_a_restart_of_alertmanager_makes_no_silenced_alert_count(
    cluster: KubernetesCluster, tmp_path: Path, numbers: Iterator[int]
) -> None:
    name = 'Hot "enough" (90%) \\ a|b c-d'  # which is asked for by an expression
    address = loopback(19, next(numbers))
    async with aiohttp.ClientSession() as session:
        server = Alertmanager(session, f"http://{address}:{names.ALERTMANAGER_PORT}")
        listener = Listener.of(cluster, server, name, Sources())
        async with running_alertmanager(server, tmp_path, address):
            assert await listener.ask() == "NotAtAlertmanager"
            await server.send([listener.alert])
            await listener.until("Firing")
            await silence(session, server, name)
            await listener.until("Silenced")
        assert await listener.ask() == "NotAtAlertmanager", "it does not answer"
        async with running_alertmanager(server, tmp_path, address):
            assert await listener.ask() == "NotAtAlertmanager", (
                "it has the silence and not the alert"
            )
            await server.send([listener.alert])
            await listener.until("Silenced")


async def begin(cluster: KubernetesCluster, namespace: str, **recovery: str) -> Episodes:
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response(recovery={"hold": "10s", **recovery})
    return episodes


async def replicas(episodes: Episodes) -> int:
    return int((await episodes.spec(DEPLOYMENT))["replicas"])


async def test_a_silence_is_the_end_where_that_is_asked_for(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = await begin(cluster, namespace, onSilence="release")
    episodes.alert(firing=True)
    await episodes.step()
    assert await replicas(episodes) == 4
    for _ in range(4):
        episodes.alert(firing=True, muted=True)
        await episodes.step()
        episodes.now += timedelta(seconds=6)
    assert await replicas(episodes) == 2
    assert await episodes.events() == ["ScaledUp", "Restored"]
    episodes.now += timedelta(minutes=10)
    episodes.alert(firing=True, muted=True)
    await episodes.step()
    assert await replicas(episodes) == 2, "nor is anything begun for it"
    episodes.alert(firing=True, muted_error="connection refused")
    await episodes.step()
    assert await replicas(episodes) == 4, "what cannot be seen is not silenced"
    conditions = (await episodes.status())["conditions"]
    assert "SilencesUnknown" in {each["reason"] for each in conditions}


def wait_for_alertmanager(episodes: Episodes) -> None:
    """Have the source say that the alert fires, which Alertmanager does not have yet."""
    episodes.alert(firing=True)
    key = source_key(episodes.namespace, "main")
    state = episodes.sources.get(key).state
    assert state
    (rule,) = state.rules
    unlisted = {each.identity: episodes.now for each in rule.alerts}
    episodes.sources.polled(key, replace(state, unlisted=unlisted))


async def test_an_alert_that_may_be_silenced_neither_begins_nor_ends_anything(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = await begin(cluster, namespace, onSilence="release")
    wait_for_alertmanager(episodes)
    await episodes.step()
    status = await episodes.status()
    assert (await replicas(episodes), status["state"]) == (2, "Idle")
    assert "does not say yet if it is silenced" in status["message"]
    assert {each["reason"] for each in status["conditions"]} >= {"Polled", "Ready"}
    episodes.alert(firing=True)
    await episodes.step()
    assert await replicas(episodes) == 4
    for _ in range(4):
        episodes.now += timedelta(seconds=6)
        wait_for_alertmanager(episodes)
        await episodes.step()
    assert await replicas(episodes) == 4
    assert await episodes.events() == ["ScaledUp"]


async def test_a_silence_changes_nothing_by_itself(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = await begin(cluster, namespace)
    for _ in range(4):
        episodes.alert(firing=True, muted=True)
        await episodes.step()
        episodes.now += timedelta(seconds=6)
    assert await replicas(episodes) == 4
