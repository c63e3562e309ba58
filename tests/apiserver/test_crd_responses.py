"""AutoResponses before a real API server: their defaults, and what is refused."""

from copy import deepcopy
from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from tests.apiserver.specs import KEY, RESPONSE, check_defaults, check_refused

pytestmark = pytest.mark.usefixtures("crds")
KIND = "AutoResponse"

HOOK: Object = {"webhook": {"url": "https://hook.example"}}


def response(**fields: Any) -> Object:
    return {**deepcopy(RESPONSE), **fields}


def breaker(kind: str = "Deployment", **fields: Any) -> Object:
    """Return a response with a circuit breaker."""
    target, action = {"kind": kind, "name": "api"}, {"circuitBreaker": fields}
    return response(target=target, actions=[action])


def scale_up(**fields: Any) -> Object:
    return response(actions=[{"scaleUp": {"by": 1, "maxReplicas": 6, **fields}}])


def notify(fields: Object, **spec: Any) -> Object:
    """Return an AutoResponse that only tells people."""
    return {"trigger": {"alert": "A"}, "actions": [{"notify": fields}], **spec}


def webhook(**fields: Any) -> Object:
    return notify({"webhook": {**HOOK["webhook"], **fields}})


DEFAULTED: list[Object] = [
    RESPONSE,
    response(recovery={}, rails={}),
    response(recovery={"rampDown": {"every": "1s"}, "hold": "0s"}),
    scale_up(by="50%"),
    response(actions=[*RESPONSE["actions"], {"notify": HOOK}]),
    notify({"receiver": "team"}, trigger={"preset": "alert_created"}),
    notify({"pagerduty": {"routingKey": KEY}, "at": ["failed", "opened"]}),
    notify({**HOOK, "message": "{alert} of {labels.team}: {{x}}\n{summary}"}),
    notify({"email": {"to": ["a@b.example"], "smtp": {"smarthost": "m:25", "from": "c@d"}}}),
]


@pytest.mark.parametrize("spec", DEFAULTED)
async def test_the_api_server_fills_in_the_models_defaults(
    cluster: KubernetesCluster, spec: Object
) -> None:
    await check_defaults(cluster, KIND, spec)


BAD: list[tuple[Any, str]] = [
    (scale_up(by=0), "spec.actions[0].scaleUp.by"),
    (scale_up(by=1001), "spec.actions[0].scaleUp.by"),
    (scale_up(by="50"), "spec.actions[0].scaleUp.by"),
    (scale_up(by="0%"), "spec.actions[0].scaleUp.by"),
    (scale_up(by=1.5), "spec.actions[0].scaleUp.by"),
    (scale_up(maxReplicas=0), "spec.actions[0].scaleUp.maxReplicas"),
    (response(actions=[]), "spec.actions"),
    (response(actions=[{}]), "set one action: scaleUp"),
    (response(actions=RESPONSE["actions"] * 2), "one of scaleUp, restart and circuitBreaker may"),
    (
        response(actions=[*RESPONSE["actions"], {"restart": {}}]),
        "one of scaleUp, restart and circuitBreaker may",
    ),
    (
        response(actions=[{"restart": {}}], target={"kind": "Rollout", "name": "a"}),
        "restart is for Deployments and StatefulSets",
    ),
    (
        response(actions=[{"restart": {}}], target={"kind": "CloneSet", "name": "a"}),
        "restart is for Deployments and StatefulSets",
    ),
    (response(recovery={"onSilence": "ignore"}), "spec.recovery.onSilence"),
    (
        response(
            source={"prometheus": {"url": "http://p:9090"}}, recovery={"onSilence": "release"}
        ),
        "set source.alertmanager",
    ),
    (breaker(kind="Rollout"), "circuitBreaker is for Deployments and StatefulSets"),
    (breaker(mechanism="flag"), "mechanisms flag, fallback and shed need the field of that name"),
    (breaker(mechanism="sabotage"), "spec.actions[0].circuitBreaker.mechanism"),
    (
        breaker(flag={"configMap": "c", "key": "k", "open": "on", "halfOpen": "on"}),
        "halfOpen must differ from open",
    ),
    (
        breaker(fallback={"target": {"kind": "Rollout", "name": "lite"}}),
        "fallback.target is a Deployment or a StatefulSet",
    ),
    (breaker(measure={"goodBelow": 101}), "circuitBreaker.measure.goodBelow"),
    (breaker(openFor="soon"), "circuitBreaker.openFor"),
    (response(rails={"actionsPerHour": 61}), "spec.rails.actionsPerHour"),
    (response(trigger={}), "set exactly one of alert and preset"),
    (response(trigger={"alert": "A", "preset": "cpu_high"}), "set exactly one of alert and preset"),
    (response(target={"kind": "deployment", "name": "a"}), "spec.target.kind"),
    (response(target={"name": "A"}), "spec.target.name"),
    (response(mode="force"), "spec.mode"),
    (
        response(actions=[{"notify": HOOK}]),
        "target is what scaleUp, restart or circuitBreaker changes",
    ),
    (
        {name: value for name, value in RESPONSE.items() if name != "target"},
        "target is what scaleUp, restart or circuitBreaker changes",
    ),
    (
        response(actions=[{**RESPONSE["actions"][0], "notify": HOOK}]),
        "set one action: scaleUp, restart, circuitBreaker or notify",
    ),
    (
        response(trigger={"preset": "alert_created"}),
        "the preset alert_created is for responses that only notify",
    ),
    (notify({}), "set exactly one of receiver, slack, pagerduty, webhook and"),
    (notify({**HOOK, "receiver": "a"}), "set exactly one of receiver"),
    (notify({**HOOK, "at": []}), "spec.actions[0].notify.at"),
    (notify({**HOOK, "at": ["begun"]}), "spec.actions[0].notify.at[0]"),
    (notify({**HOOK, "at": ["acted", "acted"]}), "spec.actions[0].notify.at[1]"),
    (notify({**HOOK, "message": "{alert"}), "braces hold one of moment, happened"),
    (notify({**HOOK, "message": "{{ .Labels }"}), "braces hold one of moment"),
    (webhook(urlSecret=KEY), "set exactly one of url and urlSecret"),
    (
        webhook(bearerToken=KEY, basicAuth={"username": "a", "password": KEY}),
        "set at most one of bearerToken and basicAuth",
    ),
    (webhook(url="https://me:secret@a"), "notify.webhook.url"),
    (notify({"email": {"to": ["A <a@b>"]}}), "notify.email.to[0]"),
    (notify(HOOK, recovery={"when": "up"}), "recovery.when says when a target goes back"),
    (
        notify({"receiver": "a"}, source={"prometheus": {"url": "http://p:9090"}}),
        "with source there is no stack",
    ),
    (
        notify({"email": {"to": ["a@b"]}}, source={"prometheus": {"url": "http://p:9090"}}),
        "notify.email needs smtp",
    ),
    (response(recovery={"rampDown": {"step": "0%"}}), "spec.recovery.rampDown.step"),
    (response(rails={"cooldown": "never"}), "spec.rails.cooldown"),
]


@pytest.mark.parametrize(("spec", "named"), BAD)
async def test_a_bad_response_is_refused_and_the_field_named(
    cluster: KubernetesCluster, spec: Any, named: str
) -> None:
    await check_refused(cluster, KIND, spec, named)
