"""The CRDs before a real API server."""

import json
import time
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from firewatch.api.kinds import CUSTOM_KINDS
from firewatch.api.resource import API_VERSION, CustomKind, Object
from firewatch.cluster.client import KubernetesCluster, Verb, Write
from firewatch.cluster.errors import InvalidError
from firewatch.cluster.kinds import OWN_KINDS
from firewatch.generate import build_crd
from firewatch.schema import with_defaults
from tests.apiserver.conftest import ROOT, Kubectl, KubectlError
from tests.apiserver.examples import EXAMPLES, namespaces_of, objects_of

KINDS = {kind.kind: kind for kind in OWN_KINDS}
CUSTOM = {custom.kind: custom for custom in CUSTOM_KINDS}

RULE = {"alert": "A", "expr": "up == 0"}
STACK: Object = {"metrics": {}}
REDIS = {"name": "redis", "image": "redis-exporter:v1", "port": 9121}
POLICY: Object = {"groups": [{"name": "g", "rules": [RULE]}]}
RESPONSE: Object = {
    "trigger": {"alert": "A"},
    "target": {"name": "api"},
    "actions": [{"scaleUp": {"by": 1, "maxReplicas": 6}}],
}


def stack(**metrics: Any) -> Object:
    return {"metrics": metrics}


def job(**fields: Any) -> Object:
    return stack(scrapeJobs=[{"name": "a", "targets": ["a:1"], **fields}])


KEY: Object = {"name": "login", "key": "token"}


def web(**fields: Any) -> Object:
    return stack(web={"tlsConfig": {"keySecret": KEY, **fields}})


def relabeling(**fields: Any) -> Object:
    return job(relabelings=[{"action": "drop", **fields}])


def remote(**fields: Any) -> Object:
    return stack(remoteWrite=[{"name": "a", "url": "https://a/x", **fields}])


def probe(**fields: Any) -> Object:
    probes = [{"name": "a", "targets": ["b"], **fields}]
    return {**STACK, "exporters": {"blackbox": {}}, "synthetic": {"probes": probes}}


def module(**fields: Any) -> Object:
    return {**STACK, "exporters": {"blackbox": {"modules": {"m": fields}}}}


def custom(**fields: Any) -> Object:
    return {**STACK, "exporters": {"custom": [{**REDIS, **fields}]}}


def rule(**fields: Any) -> Object:
    return {"groups": [{"name": "g", "rules": [{"expr": "up == 0", **fields}]}]}


def threshold(**fields: Any) -> Object:
    return {"thresholds": [fields]}


def response(**fields: Any) -> Object:
    return {**deepcopy(RESPONSE), **fields}


def scale_up(**fields: Any) -> Object:
    return response(actions=[{"scaleUp": {"by": 1, "maxReplicas": 6, **fields}}])


HOOK: Object = {"webhook": {"url": "https://hook.example"}}


def notify(fields: Object, **spec: Any) -> Object:
    """Return an AutoResponse that only tells people."""
    return {"trigger": {"alert": "A"}, "actions": [{"notify": fields}], **spec}


def webhook(**fields: Any) -> Object:
    return notify({"webhook": {**HOOK["webhook"], **fields}})


def build(kind: str, spec: Any, namespace: str, name: str = "x") -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}


async def create(
    cluster: KubernetesCluster, kind: str, spec: Any, namespace: str = "default"
) -> Object:
    body = build(kind, spec, namespace)
    return await cluster.write(Write(Verb.CREATE, KINDS[kind], namespace, "x", body, dry_run=True))


def test_the_api_server_takes_the_crds_as_structural(kubectl: Kubectl, crds: str) -> None:
    assert crds.count("created") == len(CUSTOM_KINDS)
    for crd in json.loads(kubectl("get", "crd", "-o", "json"))["items"]:
        conditions = {c["type"]: c["status"] for c in crd["status"]["conditions"]}
        assert conditions == {"NamesAccepted": "True", "Established": "True"}


@pytest.mark.usefixtures("crds")
def test_client_side_apply_works_again_and_changes_nothing(kubectl: Kubectl) -> None:
    said = kubectl("apply", "-f", str(ROOT / "crds"))
    assert said.count("unchanged") == len(CUSTOM_KINDS)


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("custom", CUSTOM_KINDS, ids=lambda custom: custom.kind)
def test_explain_tells_what_the_models_say(kubectl: Kubectl, custom: CustomKind) -> None:
    explained = eventually(kubectl, "explain", f"{custom.short}.spec")
    for name, field in custom.spec.model_fields.items():
        assert (field.alias or name) in explained


@pytest.mark.usefixtures("crds")
def test_explain_a_nested_field(kubectl: Kubectl) -> None:
    explained = eventually(kubectl, "explain", "mstack.spec.metrics")
    assert "scrapeJobs" in explained
    assert "What is scraped besides Prometheus itself" in explained
    severity = kubectl("explain", "apol.spec.thresholds.severity")
    assert "ENUM:\n    critical\n    warning\n    info" in severity


def eventually(kubectl: Kubectl, *arguments: str) -> str:
    """Run kubectl until it succeeds: the OpenAPI document of a new CRD lags a little."""
    deadline = time.monotonic() + 20
    while True:
        try:
            return kubectl(*arguments)
        except KubectlError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


@pytest.mark.usefixtures("crds")
def test_printer_columns_and_category(kubectl: Kubectl, namespace: str) -> None:
    made = build("AutoResponse", RESPONSE, namespace)
    kubectl("apply", "-f", "-", text=json.dumps(made))
    header, row = kubectl("get", "firewatch", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "MODE", "TARGET", "STATE", "READY", "AGE"]
    assert row.split()[1:3] == ["observe", "api"]


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_example_is_accepted(kubectl: Kubectl, path: Path) -> None:
    objects = objects_of(path.read_text())
    assert objects
    for name in namespaces_of(objects):
        made = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
        kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", text=json.dumps(made))
    kubectl("apply", "--validate=strict", "-f", str(path))


def test_there_are_examples() -> None:
    assert EXAMPLES


DEFAULTED: list[tuple[str, Object]] = [
    ("MonitoringStack", {}),
    ("MonitoringStack", stack()),
    ("MonitoringStack", stack(retention={}, storage={"size": 5}, resources={})),
    ("MonitoringStack", stack(resources={"limits": {"cpu": 1, "memory": "1Gi"}})),
    ("MonitoringStack", {**job(), "exporters": {"node": {}}}),
    ("MonitoringStack", {**STACK, "exporters": {"kubelet": {}, "kubeStateMetrics": {}}}),
    ("MonitoringStack", {**STACK, "exporters": {"pushgateway": {"storage": {"size": 1}}}}),
    ("MonitoringStack", {**STACK, "exporters": {"custom": [REDIS]}}),
    ("MonitoringStack", probe()),
    ("MonitoringStack", module(prober="http", http={"failIfBodyMatchesRegexp": ["a|b"]})),
    ("MonitoringStack", module(prober="dns", dns={"queryName": "a"}, timeout="2s")),
    ("AlertPolicy", POLICY),
    ("AlertPolicy", rule(record="a:b")),
    ("AlertPolicy", {"thresholds": [{"signal": "cpu", "above": 80}]}),
    ("AutoResponse", RESPONSE),
    ("AutoResponse", response(recovery={}, rails={})),
    ("AutoResponse", response(recovery={"rampDown": {"every": "1s"}, "hold": "0s"})),
    ("AutoResponse", scale_up(by="50%")),
    ("AutoResponse", response(actions=[*RESPONSE["actions"], {"notify": HOOK}])),
    ("AutoResponse", notify({"receiver": "team"}, trigger={"preset": "alert_created"})),
    ("AutoResponse", notify({"pagerduty": {"routingKey": KEY}, "at": ["failed", "opened"]})),
    ("AutoResponse", notify({**HOOK, "message": "{alert} of {labels.team}: {{x}}\n{summary}"})),
    (
        "AutoResponse",
        notify({"email": {"to": ["a@b.example"], "smtp": {"smarthost": "m:25", "from": "c@d"}}}),
    ),
]


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(("kind", "spec"), DEFAULTED)
async def test_the_api_server_fills_in_the_models_defaults(
    cluster: KubernetesCluster, kind: str, spec: Object
) -> None:
    model = CUSTOM[kind].spec
    stored = (await create(cluster, kind, spec))["spec"]
    assert model.model_validate(stored) == model.model_validate(spec)
    written = model.model_validate(spec).model_dump(mode="json", by_alias=True)
    assert bare(stored) == bare(written)


def bare(value: Any) -> Any:
    """Return the value without what says nothing, and quantities as texts."""
    if isinstance(value, list):
        return [bare(entry) for entry in value]
    if isinstance(value, dict):
        kept = {name: bare(v) for name, v in value.items()}
        return {
            name: str(v) if name in ("cpu", "size") else v
            for name, v in kept.items()
            if v not in (None, [], {})
        }
    return value


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(("kind", "spec"), DEFAULTED[:4])
async def test_our_own_picture_of_defaulting_is_right(
    cluster: KubernetesCluster, kind: str, spec: Object
) -> None:
    version = build_crd(CUSTOM[kind])["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert (await create(cluster, kind, spec))["spec"] == with_defaults(spec, schema)


BAD: list[tuple[str, Any, str]] = [
    ("MonitoringStack", None, "spec"),
    ("MonitoringStack", {"metric": {}}, 'unknown field "spec.metric"'),
    ("MonitoringStack", stack(scrapeinterval="5s"), 'unknown field "spec.metrics.scrapeinterval"'),
    ("MonitoringStack", stack(scrapeInterval="5"), "spec.metrics.scrapeInterval"),
    ("MonitoringStack", stack(scrapeInterval="5 seconds"), "spec.metrics.scrapeInterval"),
    ("MonitoringStack", stack(scrapeInterval="1s1m"), "spec.metrics.scrapeInterval"),
    ("MonitoringStack", stack(scrapeInterval=15), "spec.metrics.scrapeInterval"),
    ("MonitoringStack", stack(scrapeInterval="0s"), "it must be longer than 0"),
    ("MonitoringStack", stack(evaluationInterval="1000y"), "spec.metrics.evaluationInterval"),
    ("MonitoringStack", stack(retention={"size": "40Gi"}), "spec.metrics.retention.size"),
    ("MonitoringStack", web(), "spec.metrics.web.tlsConfig.cert"),
    ("MonitoringStack", web(cert={"secret": KEY}), "cert and keySecret name the same key"),
    (
        "MonitoringStack",
        web(cert={"configMap": KEY}, ca={"secret": KEY}),
        "ca and keySecret name the same key",
    ),
    (
        "MonitoringStack",
        web(cert={"configMap": KEY}, serverName="a..b"),
        "spec.metrics.web.tlsConfig.serverName",
    ),
    ("MonitoringStack", stack(storage={}), "spec.metrics.storage.size"),
    ("MonitoringStack", stack(storage={"size": "big"}), "spec.metrics.storage.size"),
    ("MonitoringStack", stack(storage={"size": -1}), "spec.metrics.storage.size"),
    ("MonitoringStack", stack(externalLabels={"a-b": "c"}), "spec.metrics.externalLabels"),
    ("MonitoringStack", stack(externalLabels={"a" * 129: "c"}), "at most 128 characters"),
    ("MonitoringStack", stack(externalLabels={"a": 1}), "spec.metrics.externalLabels.a"),
    ("MonitoringStack", job(name="node"), "the names prometheus, node, blackbox,"),
    ("MonitoringStack", job(name="cadvisor"), "belong to jobs of the stack itself"),
    ("MonitoringStack", job(name="a b"), "spec.metrics.scrapeJobs[0].name"),
    ("MonitoringStack", job(podSelector={}), "exactly one of targets, serviceSelector"),
    ("MonitoringStack", job(namespaces=["a"]), "namespaces go with serviceSelector"),
    ("MonitoringStack", job(port="http"), "need port, and targets have it in each address"),
    (
        "MonitoringStack",
        job(basicAuth={"username": KEY, "password": KEY}, authorization={"credentials": KEY}),
        "at most one of authorization, basicAuth and oauth2",
    ),
    (
        "MonitoringStack",
        job(authorization={"type": "basic", "credentials": KEY}),
        "for Basic use basicAuth",
    ),
    ("MonitoringStack", job(tlsConfig={"keySecret": KEY}), "set both cert and keySecret"),
    ("MonitoringStack", relabeling(regex="a(?=b)"), "it must be a regular expression (RE2)"),
    ("MonitoringStack", relabeling(action="replace"), "this action needs targetLabel"),
    ("MonitoringStack", relabeling(action="hashmod", targetLabel="a"), "hashmod needs modulus"),
    (
        "MonitoringStack",
        relabeling(action="lowercase", targetLabel="$1"),
        "must be the name of a label",
    ),
    ("MonitoringStack", relabeling(action="labeldrop", sourceLabels=["a"]), "nothing but regex"),
    (
        "MonitoringStack",
        relabeling(action="keepequal", targetLabel="a", regex="b"),
        "nothing but sourceLabels",
    ),
    (
        "MonitoringStack",
        relabeling(action="labelmap", replacement="-"),
        "labelmap needs a replacement",
    ),
    (
        "MonitoringStack",
        remote(headers={"Authorization": "x"}),
        "for credentials use authorization",
    ),
    ("MonitoringStack", remote(url="https://me:secret@a/x"), "spec.metrics.remoteWrite[0].url"),
    (
        "MonitoringStack",
        remote(queueConfig={"minShards": 3, "maxShards": 2}),
        "minShards may not be larger",
    ),
    ("MonitoringStack", stack(podLabels={"app.kubernetes.io/name": "x"}), "belong to Firewatch"),
    ("MonitoringStack", job(targets=["http://a:1"]), "spec.metrics.scrapeJobs[0].targets[0]"),
    ("MonitoringStack", job(path="metrics"), "spec.metrics.scrapeJobs[0].path"),
    ("MonitoringStack", job(scheme="ftp"), "spec.metrics.scrapeJobs[0].scheme"),
    (
        "MonitoringStack",
        stack(scrapeJobs=[{"name": "a", "targets": ["a:1"]}] * 2),
        "spec.metrics.scrapeJobs[1]",
    ),
    ("MonitoringStack", {"exporters": {"node": {}}}, "exporters.node needs metrics"),
    ("MonitoringStack", {**STACK, "exporters": {"node": {"port": 0}}}, "spec.exporters.node.port"),
    ("MonitoringStack", {"exporters": {"kubelet": {}}}, "exporters.kubelet needs metrics"),
    ("MonitoringStack", {"exporters": {"custom": [REDIS]}}, "exporters.custom needs metrics"),
    (
        "MonitoringStack",
        {**STACK, "synthetic": {"probes": [{"name": "a", "targets": ["b"]}]}},
        "synthetic.probes needs exporters.blackbox",
    ),
    ("MonitoringStack", probe(targets=["https://me:secret@b"]), "synthetic.probes[0].targets[0]"),
    ("MonitoringStack", probe(labels={"probe": "x"}), "the labels job, probe, instance are set by"),
    ("MonitoringStack", module(prober="udp"), "spec.exporters.blackbox.modules.m.prober"),
    ("MonitoringStack", module(prober="http", tcp={}), "the block tcp needs prober tcp"),
    ("MonitoringStack", module(prober="dns"), "prober dns needs dns.queryName"),
    ("MonitoringStack", module(prober="http", timeout="1d"), "modules.m.timeout"),
    (
        "MonitoringStack",
        module(prober="dns", dns={"queryName": "a", "dnsOverTls": True}),
        "dns.dnsOverTls needs dns.transportProtocol tcp",
    ),
    (
        "MonitoringStack",
        module(prober="http", http={"failIfBodyMatchesRegexp": ["(a"]}),
        "missing closing )",
    ),
    (
        "MonitoringStack",
        module(prober="http", http={"failIfBodyMatchesRegexp": ["a(?=b)"]}),
        "invalid or unsupported Perl syntax",
    ),
    (
        "MonitoringStack",
        module(
            prober="http",
            http={
                "basicAuth": {"username": "a", "password": {"name": "s", "key": "k"}},
                "authorization": {"credentials": {"name": "s", "key": "k"}},
            },
        ),
        "set basicAuth or authorization, not both",
    ),
    ("MonitoringStack", custom(name="kubelet"), "belong to jobs of the stack itself"),
    ("MonitoringStack", custom(image=None), "spec.exporters.custom[0].image"),
    ("MonitoringStack", custom(insecureSkipVerify=True), "is for scheme https"),
    (
        "MonitoringStack",
        custom(env=[{"name": "A", "value": "b", "secretKeyRef": {"name": "s", "key": "k"}}]),
        "set value or secretKeyRef, not both",
    ),
    ("AlertPolicy", {}, "set groups, thresholds, routes or inhibit"),
    ("AlertPolicy", {"groups": [], "thresholds": []}, "set groups, thresholds, routes or inhibit"),
    ("AlertPolicy", rule(alert="A", record="b"), "set exactly one of alert and record"),
    ("AlertPolicy", rule(), "set exactly one of alert and record"),
    ("AlertPolicy", rule(record="a:b", annotations={"a": "b"}), "a recording rule has no for"),
    ("AlertPolicy", {"groups": [{"name": "g", "rules": [{"alert": "A"}]}]}, "rules[0].expr"),
    ("AlertPolicy", rule(alert="A", keepFiringFor="5m"), "keepFiringFor"),
    ("AlertPolicy", rule(alert="A", **{"for": "soon"}), "spec.groups[0].rules[0].for"),
    ("AlertPolicy", rule(alert="A", **{"for": 300}), "spec.groups[0].rules[0].for"),
    ("AlertPolicy", rule(alert="A", labels={"a b": "c"}), "spec.groups[0].rules[0].labels"),
    ("AlertPolicy", {"groups": [*POLICY["groups"], *POLICY["groups"]]}, "spec.groups[1]"),
    ("AlertPolicy", {"thresholds": [{"signal": "cpu", "above": 101}]}, "spec.thresholds[0].above"),
    ("AlertPolicy", threshold(signal="heat", above=1), "spec.thresholds[0].signal"),
    ("AlertPolicy", threshold(signal="memory"), "above is needed"),
    ("AlertPolicy", threshold(signal="disk"), "below is needed for the signal disk"),
    ("AlertPolicy", threshold(signal="disk", below=15, above=85), "above: the signal disk takes"),
    ("AlertPolicy", threshold(signal="cpu", above=1, below=1), "below: only the signal disk"),
    ("AlertPolicy", threshold(signal="memory", above=1, window="5m"), "window: the signals memory"),
    ("AlertPolicy", threshold(signal="cpu", above=1, fileSystems={}), "fileSystems: only the"),
    ("AlertPolicy", threshold(signal="cpu", above=1, requests={}), "requests: only the signal"),
    ("AlertPolicy", threshold(signal="errorRate", above=1, outcomes={}), "outcomes: only the"),
    (
        "AlertPolicy",
        threshold(signal="errorRate", above=1, requests={"metric": "a-b"}),
        "spec.thresholds[0].requests.metric",
    ),
    ("AutoResponse", scale_up(by=0), "spec.actions[0].scaleUp.by"),
    ("AutoResponse", scale_up(by=1001), "spec.actions[0].scaleUp.by"),
    ("AutoResponse", scale_up(by="50"), "spec.actions[0].scaleUp.by"),
    ("AutoResponse", scale_up(by="0%"), "spec.actions[0].scaleUp.by"),
    ("AutoResponse", scale_up(by=1.5), "spec.actions[0].scaleUp.by"),
    ("AutoResponse", scale_up(maxReplicas=0), "spec.actions[0].scaleUp.maxReplicas"),
    ("AutoResponse", response(actions=[]), "spec.actions"),
    ("AutoResponse", response(actions=[{}]), "set one action: scaleUp"),
    ("AutoResponse", response(actions=RESPONSE["actions"] * 2), "one of scaleUp and restart may"),
    (
        "AutoResponse",
        response(actions=[*RESPONSE["actions"], {"restart": {}}]),
        "one of scaleUp and restart may",
    ),
    (
        "AutoResponse",
        response(actions=[{"restart": {}}], target={"kind": "Rollout", "name": "a"}),
        "restart is for Deployments and StatefulSets",
    ),
    (
        "AutoResponse",
        response(actions=[{"restart": {}}], target={"kind": "CloneSet", "name": "a"}),
        "restart is for Deployments and StatefulSets",
    ),
    ("AutoResponse", response(recovery={"onSilence": "ignore"}), "spec.recovery.onSilence"),
    (
        "AutoResponse",
        response(
            source={"prometheus": {"url": "http://p:9090"}}, recovery={"onSilence": "release"}
        ),
        "set source.alertmanager",
    ),
    ("AutoResponse", response(rails={"actionsPerHour": 61}), "spec.rails.actionsPerHour"),
    ("AutoResponse", response(trigger={}), "set exactly one of alert and preset"),
    (
        "AutoResponse",
        response(trigger={"alert": "A", "preset": "cpu_high"}),
        "set exactly one of alert and preset",
    ),
    ("AutoResponse", response(target={"kind": "deployment", "name": "a"}), "spec.target.kind"),
    ("AutoResponse", response(target={"name": "A"}), "spec.target.name"),
    ("AutoResponse", response(mode="force"), "spec.mode"),
    (
        "AutoResponse",
        response(actions=[{"notify": HOOK}]),
        "target is what scaleUp or restart changes",
    ),
    (
        "AutoResponse",
        {name: value for name, value in RESPONSE.items() if name != "target"},
        "target is what scaleUp or restart changes",
    ),
    (
        "AutoResponse",
        response(actions=[{**RESPONSE["actions"][0], "notify": HOOK}]),
        "set one action: scaleUp, restart or notify",
    ),
    (
        "AutoResponse",
        response(trigger={"preset": "alert_created"}),
        "the preset alert_created is for responses that only notify",
    ),
    ("AutoResponse", notify({}), "set exactly one of receiver, slack, pagerduty, webhook and"),
    ("AutoResponse", notify({**HOOK, "receiver": "a"}), "set exactly one of receiver"),
    ("AutoResponse", notify({**HOOK, "at": []}), "spec.actions[0].notify.at"),
    ("AutoResponse", notify({**HOOK, "at": ["begun"]}), "spec.actions[0].notify.at[0]"),
    ("AutoResponse", notify({**HOOK, "at": ["acted", "acted"]}), "spec.actions[0].notify.at[1]"),
    ("AutoResponse", notify({**HOOK, "message": "{alert"}), "braces hold one of moment, happened"),
    ("AutoResponse", notify({**HOOK, "message": "{{ .Labels }"}), "braces hold one of moment"),
    ("AutoResponse", webhook(urlSecret=KEY), "set exactly one of url and urlSecret"),
    (
        "AutoResponse",
        webhook(bearerToken=KEY, basicAuth={"username": "a", "password": KEY}),
        "set at most one of bearerToken and basicAuth",
    ),
    ("AutoResponse", webhook(url="https://me:secret@a"), "notify.webhook.url"),
    ("AutoResponse", notify({"email": {"to": ["A <a@b>"]}}), "notify.email.to[0]"),
    (
        "AutoResponse",
        notify(HOOK, recovery={"when": "up"}),
        "recovery.when says when a target goes back",
    ),
    (
        "AutoResponse",
        notify({"receiver": "a"}, source={"prometheus": {"url": "http://p:9090"}}),
        "with source there is no stack",
    ),
    (
        "AutoResponse",
        notify({"email": {"to": ["a@b"]}}, source={"prometheus": {"url": "http://p:9090"}}),
        "notify.email needs smtp",
    ),
    (
        "AutoResponse",
        response(recovery={"rampDown": {"step": "0%"}}),
        "spec.recovery.rampDown.step",
    ),
    ("AutoResponse", response(rails={"cooldown": "never"}), "spec.rails.cooldown"),
]


@pytest.mark.usefixtures("crds")
@pytest.mark.parametrize(("kind", "spec", "named"), BAD)
async def test_a_bad_object_is_refused_and_the_field_named(
    cluster: KubernetesCluster, kind: str, spec: Any, named: str
) -> None:
    with pytest.raises(InvalidError) as caught:
        await create(cluster, kind, spec)
    assert named in str(caught.value)


@pytest.mark.usefixtures("crds")
def test_kubectl_refuses_a_typing_error_by_default(kubectl: Kubectl) -> None:
    mistyped = build("MonitoringStack", {"metric": {}}, "default")
    with pytest.raises(KubectlError, match=r'unknown field "spec\.metric"'):
        kubectl("apply", "-f", "-", text=json.dumps(mistyped))


@pytest.mark.usefixtures("crds")
def test_two_managers_share_a_list_of_named_things(kubectl: Kubectl, namespace: str) -> None:
    def apply_jobs(manager: str, *names: str) -> list[str]:
        jobs = [{"name": name, "targets": [f"{name}:80"]} for name in names]
        text = json.dumps(build("MonitoringStack", stack(scrapeJobs=jobs), namespace))
        kubectl("apply", "--server-side", f"--field-manager={manager}", "-f", "-", text=text)
        found = json.loads(kubectl("get", "mstack", "x", "-n", namespace, "-o", "json"))
        return sorted(entry["name"] for entry in found["spec"]["metrics"]["scrapeJobs"])

    apply_jobs("team-a", "a", "both")
    assert apply_jobs("team-b", "b", "both") == ["a", "b", "both"]
    assert apply_jobs("team-a", "a") == ["a", "b", "both"]
    assert apply_jobs("team-b", "b") == ["a", "b"]
