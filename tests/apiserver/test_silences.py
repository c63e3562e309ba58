"""What Alertmanager mutes, as a real one says it, and what that means for an episode."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiohttp
import pytest
import yaml

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.cluster.alertmanager import Alertmanager, AlertmanagerError
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.respond.alerts import identify, own_labels, parse_pushed
from tests.apiserver.episodes import Episodes
from tests.apiserver.node import loopback
from tests.apiserver.scene import eventually
from tests.apiserver.teller import running_alertmanager

pytestmark = pytest.mark.usefixtures("crds")

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
            return {each["alertname"] for each in await server.muted()}

        with pytest.raises(AlertmanagerError):
            await server.muted()
        async with running_alertmanager(server, tmp_path, address, yaml.safe_dump(CONFIG)):
            await server.send([alert("Hot"), alert("Slow"), alert("Full")])
            assert await muted() == set()
            known = await silence(session, server, "Hot")
            await eventually(lambda found: found == {"Hot"}, muted, seconds=10)
            await server.send([alert("Down")])
            await eventually(lambda found: found == {"Hot", "Slow"}, muted, seconds=10)
            (hot,) = [each for each in await server.muted() if each["alertname"] == "Hot"]
            external = frozenset({"cluster"})
            pushed = parse_pushed(alert("Hot"), external=external, now=datetime.now(UTC))
            assert identify(own_labels(hot, external)) == pushed.identity
            async with session.delete(f"{server.url}/api/v2/silence/{known}"):
                await eventually(lambda found: found == {"Slow"}, muted, seconds=10)


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


async def test_a_silence_changes_nothing_by_itself(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = await begin(cluster, namespace)
    for _ in range(4):
        episodes.alert(firing=True, muted=True)
        await episodes.step()
        episodes.now += timedelta(seconds=6)
    assert await replicas(episodes) == 4
