"""An alert of one namespace sets nothing off in another, whoever sends it and whatever it says.

A stack may run policies of other namespaces, and their authors choose the names of their alerts. The
label ``namespace`` of each is forced on them, so that it says whose alert it is.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.cluster.kinds import DEPLOYMENT
from firewatch.respond.alerts import Alert, parse_pushed
from firewatch.respond.registry import source_key
from tests.apiserver.episodes import ALERT, Episodes

pytestmark = pytest.mark.usefixtures("crds")

NEIGHBOUR = "somebody-elses"


async def begin(cluster: KubernetesCluster, namespace: str, **trigger: Object) -> Episodes:
    episodes = Episodes(cluster, namespace)
    await episodes.stack()
    await episodes.workload(DEPLOYMENT)
    await episodes.response(trigger={"alert": ALERT, **trigger})
    await episodes.step()
    return episodes


def found_by_poll(episodes: Episodes, **labels: str) -> None:
    """Have the source say that the alert of a rule with these labels fires."""
    episodes.alert(firing=True)
    key = source_key(episodes.namespace, "main")
    state = episodes.sources.get(key).state
    assert state
    (rule,) = state.rules
    alerts = tuple(replace(each, labels={**each.labels, **labels}) for each in rule.alerts)
    rules = (replace(rule, labels=labels, alerts=alerts),)
    episodes.sources.polled(key, replace(state, rules=rules))


def pushed(episodes: Episodes, **labels: str) -> None:
    """Have the stack's own Prometheus push the alert."""
    item = {"labels": {"alertname": ALERT, **labels}}
    alert: Alert = parse_pushed(item, external=frozenset(), now=episodes.now)
    episodes.sources.push(source_key(episodes.namespace, "main"), [alert], episodes.now)


async def replicas(episodes: Episodes) -> int:
    return int((await episodes.spec(DEPLOYMENT))["replicas"])


@pytest.mark.parametrize("way", [found_by_poll, pushed])
async def test_an_alert_that_says_that_it_is_of_another_namespace_changes_nothing(
    cluster: KubernetesCluster, namespace: str, way: object
) -> None:
    episodes = await begin(cluster, namespace)
    assert callable(way)
    for _ in range(3):
        way(episodes, namespace=NEIGHBOUR)
        await episodes.step()
        episodes.now += timedelta(seconds=5)
    assert await replicas(episodes) == 2
    assert await episodes.events() == []
    way(episodes, namespace=namespace)
    await episodes.step()
    assert await replicas(episodes) == 4


@pytest.mark.parametrize("way", [found_by_poll, pushed])
async def test_it_counts_where_the_response_asks_for_that_namespace(
    cluster: KubernetesCluster, namespace: str, way: object
) -> None:
    labels: Object = {"namespace": NEIGHBOUR}
    episodes = await begin(cluster, namespace, labels=labels)
    assert callable(way)
    way(episodes, namespace=NEIGHBOUR)
    await episodes.step()
    assert await replicas(episodes) == 4


async def test_what_the_server_of_a_neighbour_says_is_not_heard_at_all(
    cluster: KubernetesCluster, namespace: str
) -> None:
    episodes = await begin(cluster, namespace)
    item = {"labels": {"alertname": ALERT, "namespace": namespace}}
    alert = parse_pushed(item, external=frozenset(), now=episodes.now)
    episodes.sources.push(source_key(NEIGHBOUR, "main"), [alert], episodes.now)
    await episodes.step()
    assert await replicas(episodes) == 2
