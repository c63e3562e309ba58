"""MonitoringStacks before a real API server: their defaults, and what is refused."""

from typing import Any

import pytest

from firewatch.api.resource import Object
from firewatch.cluster.client import KubernetesCluster
from firewatch.generate import build_crd
from firewatch.schema import with_defaults
from tests.apiserver.specs import CUSTOM, KEY, STACK, check_defaults, check_refused, create, stack

pytestmark = pytest.mark.usefixtures("crds")
KIND = "MonitoringStack"

POSTGRES: Object = {"name": "a", "host": "db", "username": KEY, "password": KEY}
REDIS = {"name": "redis", "image": "redis-exporter:v1", "port": 9121}


def job(**fields: Any) -> Object:
    return stack(scrapeJobs=[{"name": "a", "targets": ["a:1"], **fields}])


def web(**fields: Any) -> Object:
    return stack(web={"tlsConfig": {"keySecret": KEY, **fields}})


def relabeling(**fields: Any) -> Object:
    return job(relabelings=[{"action": "drop", **fields}])


def remote(**fields: Any) -> Object:
    return stack(remoteWrite=[{"name": "a", "url": "https://a/x", **fields}])


def probe(**fields: Any) -> Object:
    probes = [{"name": "a", "targets": ["b"], **fields}]
    return {**STACK, "exporters": {"blackbox": {}}, "synthetic": {"probes": probes}}


def check(**fields: Any) -> Object:
    checks = [{"name": "a", "url": "https://b", **fields}]
    return {**STACK, "exporters": {"blackbox": {}}, "synthetic": {"healthChecks": checks}}


def journey(**fields: Any) -> Object:
    wanted = {"name": "a", "baseUrl": "https://b", "steps": [{"name": "c"}], **fields}
    return {**STACK, "synthetic": {"journeys": [wanted]}}


def step(**fields: Any) -> Object:
    return journey(steps=[{"name": "c", **fields}])


def real_users(**fields: Any) -> Object:
    least = {"apiKey": KEY, "origins": ["https://a"], "serviceNames": ["web"]}
    return {**STACK, "realUserMonitoring": {**least, **fields}}


def ingress(**fields: Any) -> Object:
    return stack(ingress={"host": "prometheus.example", "allowUnauthenticated": True, **fields})


GITHUB: Object = {"clientId": "a", "clientSecret": {"name": "b", "key": "c"}}
LOKI: Object = {"name": "Logs", "type": "loki"}


def module(**fields: Any) -> Object:
    return {**STACK, "exporters": {"blackbox": {"modules": {"m": fields}}}}


def postgres(*databases: Object) -> Object:
    wanted = [{**POSTGRES, **fields} for fields in databases]
    return {**STACK, "exporters": {"postgres": wanted}}


def custom(**fields: Any) -> Object:
    return {**STACK, "exporters": {"custom": [{**REDIS, **fields}]}}


DEFAULTED: list[Object] = [
    {},
    stack(),
    stack(retention={}, storage={"size": 5}, resources={}),
    stack(resources={"limits": {"cpu": 1, "memory": "1Gi"}}),
    {**job(), "exporters": {"node": {}}},
    {**STACK, "exporters": {"kubelet": {}, "kubeStateMetrics": {}}},
    {**STACK, "exporters": {"pushgateway": {"storage": {"size": 1}}}},
    {**STACK, "exporters": {"custom": [REDIS]}},
    postgres({}, {"name": "b", "port": 6432, "sslMode": "disable"}),
    {**STACK, "packs": {}},
    {**STACK, "packs": {"node": {"cpuPercent": 80}, "watchdog": {"enabled": False}}},
    probe(),
    check(),
    check(http={"failIfBodyJsonNotMatches": [{"path": "a", "equals": "b"}]}),
    {**STACK, "visualization": {}},
    {**STACK, "visualization": {"login": {"github": GITHUB}, "dataSources": [LOKI]}},
    module(prober="http", http={"failIfBodyMatchesRegexp": ["a|b"]}),
    module(prober="dns", dns={"queryName": "a"}, timeout="2s"),
]


@pytest.mark.parametrize("spec", DEFAULTED)
async def test_the_api_server_fills_in_the_models_defaults(
    cluster: KubernetesCluster, spec: Object
) -> None:
    await check_defaults(cluster, KIND, spec)


@pytest.mark.parametrize("spec", DEFAULTED[:4])
async def test_our_own_picture_of_defaulting_is_right(
    cluster: KubernetesCluster, spec: Object
) -> None:
    version = build_crd(CUSTOM[KIND])["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert (await create(cluster, KIND, spec))["spec"] == with_defaults(spec, schema)


BAD: list[tuple[Any, str]] = [
    (None, "spec"),
    ({"metric": {}}, 'unknown field "spec.metric"'),
    (stack(scrapeinterval="5s"), 'unknown field "spec.metrics.scrapeinterval"'),
    (stack(scrapeInterval="5"), "spec.metrics.scrapeInterval"),
    (stack(scrapeInterval="5 seconds"), "spec.metrics.scrapeInterval"),
    (stack(scrapeInterval="1s1m"), "spec.metrics.scrapeInterval"),
    (stack(scrapeInterval=15), "spec.metrics.scrapeInterval"),
    (stack(scrapeInterval="0s"), "it must be longer than 0"),
    (stack(evaluationInterval="1000y"), "spec.metrics.evaluationInterval"),
    (stack(retention={"size": "40Gi"}), "spec.metrics.retention.size"),
    (web(), "spec.metrics.web.tlsConfig.cert"),
    (web(cert={"secret": KEY}), "cert and keySecret name the same key"),
    (web(cert={"configMap": KEY}, ca={"secret": KEY}), "ca and keySecret name the same key"),
    (web(cert={"configMap": KEY}, serverName="a..b"), "spec.metrics.web.tlsConfig.serverName"),
    (stack(storage={}), "spec.metrics.storage.size"),
    (stack(storage={"size": "big"}), "spec.metrics.storage.size"),
    (stack(storage={"size": -1}), "spec.metrics.storage.size"),
    (stack(externalLabels={"a-b": "c"}), "spec.metrics.externalLabels"),
    (stack(externalLabels={"a" * 129: "c"}), "at most 128 characters"),
    (stack(externalLabels={"namespace": "a"}), "the label namespace says whose an alert is"),
    (stack(externalLabels={"a": 1}), "spec.metrics.externalLabels.a"),
    (job(name="node"), "the names prometheus, node, blackbox,"),
    (job(name="cadvisor"), "belong to jobs of the stack itself"),
    (job(name="a b"), "spec.metrics.scrapeJobs[0].name"),
    (job(podSelector={}), "exactly one of targets, serviceSelector"),
    (job(namespaces=["a"]), "namespaces go with serviceSelector"),
    (job(port="http"), "need port, and targets have it in each address"),
    (
        job(basicAuth={"username": KEY, "password": KEY}, authorization={"credentials": KEY}),
        "at most one of authorization, basicAuth and oauth2",
    ),
    (job(authorization={"type": "basic", "credentials": KEY}), "for Basic use basicAuth"),
    (job(tlsConfig={"keySecret": KEY}), "set both cert and keySecret"),
    (relabeling(regex="a(?=b)"), "it must be a regular expression (RE2)"),
    (relabeling(action="replace"), "this action needs targetLabel"),
    (relabeling(action="hashmod", targetLabel="a"), "hashmod needs modulus"),
    (relabeling(action="lowercase", targetLabel="$1"), "must be the name of a label"),
    (relabeling(action="labeldrop", sourceLabels=["a"]), "nothing but regex"),
    (relabeling(action="keepequal", targetLabel="a", regex="b"), "nothing but sourceLabels"),
    (relabeling(action="labelmap", replacement="-"), "labelmap needs a replacement"),
    (postgres({"host": "db:5432"}), "spec.exporters.postgres[0].host"),
    (postgres({"database": "a b"}), "spec.exporters.postgres[0].database"),
    (postgres({"sslMode": "prefer"}), "spec.exporters.postgres[0].sslMode"),
    (
        postgres({"sslMode": "require", "ca": {"secret": KEY}}),
        "ca is for sslMode verify-ca and verify-full",
    ),
    (postgres({}, {"name": "b"}), "each database can be named once"),
    (postgres({}, {}), "spec.exporters.postgres[1]"),
    ({"exporters": {"postgres": [POSTGRES]}}, "exporters.postgres needs metrics"),
    ({"packs": {}}, "packs needs metrics"),
    ({**STACK, "packs": {"node": {"cpuPercent": 101}}}, "spec.packs.node.cpuPercent"),
    ({**STACK, "packs": {"runbookUrl": "wiki"}}, "spec.packs.runbookUrl"),
    (remote(headers={"Authorization": "x"}), "for credentials use authorization"),
    (remote(url="https://me:secret@a/x"), "spec.metrics.remoteWrite[0].url"),
    (remote(queueConfig={"minShards": 3, "maxShards": 2}), "minShards may not be larger"),
    (stack(podLabels={"app.kubernetes.io/name": "x"}), "belong to Firewatch"),
    (job(targets=["http://a:1"]), "spec.metrics.scrapeJobs[0].targets[0]"),
    (job(path="metrics"), "spec.metrics.scrapeJobs[0].path"),
    (job(scheme="ftp"), "spec.metrics.scrapeJobs[0].scheme"),
    (stack(scrapeJobs=[{"name": "a", "targets": ["a:1"]}] * 2), "spec.metrics.scrapeJobs[1]"),
    ({"exporters": {"node": {}}}, "exporters.node needs metrics"),
    ({**STACK, "exporters": {"node": {"port": 0}}}, "spec.exporters.node.port"),
    ({"exporters": {"kubelet": {}}}, "exporters.kubelet needs metrics"),
    ({"exporters": {"custom": [REDIS]}}, "exporters.custom needs metrics"),
    (
        {**STACK, "synthetic": {"probes": [{"name": "a", "targets": ["b"]}]}},
        "synthetic.probes needs exporters.blackbox",
    ),
    (probe(targets=["https://me:secret@b"]), "synthetic.probes[0].targets[0]"),
    (
        {**STACK, "synthetic": {"healthChecks": [{"name": "a", "url": "http://b"}]}},
        "synthetic.healthChecks needs exporters.blackbox",
    ),
    ({"synthetic": journey()["synthetic"]}, "synthetic.journeys needs metrics"),
    (journey(baseUrl="https://me:secret@b"), "synthetic.journeys[0].baseUrl"),
    (journey(baseUrl="https://b/"), "synthetic.journeys[0].baseUrl"),
    (journey(steps=[]), "synthetic.journeys[0].steps"),
    (journey(steps=[{"name": "c"}] * 2), "synthetic.journeys[0].steps[1]"),
    (journey(labels={"step": "x"}), "are set by Firewatch"),
    (journey(variables=[{"name": "v"}]), "set value or secretKeyRef, and not both"),
    (
        journey(variables=[{"name": "v", "value": "x", "secretKeyRef": KEY}]),
        "set value or secretKeyRef, and not both",
    ),
    (journey(variables=[{"name": "run", "value": "x"}]), "run is there already"),
    (step(path="no-slash"), "synthetic.journeys[0].steps[0].path"),
    (step(jsonBody={"a": 1}, body="x"), "set one of jsonBody, formBody and body"),
    (step(extract=[{"variable": "v"}]), "set exactly one of jsonPath, header and regexp"),
    (step(extract=[{"variable": "v", "jsonPath": "a b"}]), "extract[0].jsonPath"),
    (step(extract=[{"variable": "v", "regexp": "a(?=b)"}]), "unsupported Perl syntax"),
    (step(failIfBodyMatchesRegexp=["(a"]), "missing closing )"),
    (ingress(allowUnauthenticated=False), "it asks for no login"),
    (stack(ingress={"host": "a"}), "it asks for no login"),
    (ingress(host="a/b"), "metrics.ingress.host"),
    (ingress(gateway={"name": "g"}, className="c"), "className and tlsSecretName are for an"),
    ({**STACK, "networkPolicies": {"allowFrom": [{}]}}, "set ipBlock, or podSelector and"),
    (
        {
            **STACK,
            "networkPolicies": {"allowFrom": [{"podSelector": {}, "ipBlock": {"cidr": "::/0"}}]},
        },
        "set ipBlock, or podSelector and",
    ),
    (
        {**STACK, "networkPolicies": {"allowFrom": [{"ipBlock": {"cidr": "10.0.0.1"}}]}},
        "networkPolicies.allowFrom[0].ipBlock.cidr",
    ),
    (
        {"realUserMonitoring": real_users()["realUserMonitoring"]},
        "realUserMonitoring needs metrics",
    ),
    (real_users(origins=["https://a/"]), "realUserMonitoring.origins[0]"),
    (real_users(origins=["*"]), "realUserMonitoring.origins[0]"),
    (real_users(origins=[]), "realUserMonitoring.origins"),
    (real_users(serviceNames=["a b"]), "realUserMonitoring.serviceNames[0]"),
    (real_users(pages=["a"]), "realUserMonitoring.pages[0]"),
    (real_users(pages=["/a*"]), "realUserMonitoring.pages[0]"),
    (real_users(events=["page_load"]), "are always taken; leave them out"),
    (check(url="https://me:secret@b"), "synthetic.healthChecks[0].url"),
    (check(labels={"slo": "x"}), "are set by Firewatch"),
    (check(labels={"team": "{{ 1 }}"}), "synthetic.healthChecks[0].labels"),
    (probe(labels={"probe": "x"}), "the labels job, probe, instance are set by"),
    (module(prober="udp"), "spec.exporters.blackbox.modules.m.prober"),
    (module(prober="http", tcp={}), "the block tcp needs prober tcp"),
    (module(prober="dns"), "prober dns needs dns.queryName"),
    (module(prober="http", timeout="1d"), "modules.m.timeout"),
    (
        module(prober="dns", dns={"queryName": "a", "dnsOverTls": True}),
        "dns.dnsOverTls needs dns.transportProtocol tcp",
    ),
    (module(prober="http", http={"failIfBodyMatchesRegexp": ["(a"]}), "missing closing )"),
    (
        module(prober="http", http={"failIfBodyMatchesRegexp": ["a(?=b)"]}),
        "invalid or unsupported Perl syntax",
    ),
    (
        module(
            prober="http",
            http={
                "basicAuth": {"username": "a", "password": {"name": "s", "key": "k"}},
                "authorization": {"credentials": {"name": "s", "key": "k"}},
            },
        ),
        "set basicAuth or authorization, not both",
    ),
    (custom(name="kubelet"), "belong to jobs of the stack itself"),
    (custom(image=None), "spec.exporters.custom[0].image"),
    (custom(insecureSkipVerify=True), "is for scheme https"),
    (
        custom(env=[{"name": "A", "value": "b", "secretKeyRef": {"name": "s", "key": "k"}}]),
        "set value or secretKeyRef, not both",
    ),
]


@pytest.mark.parametrize(("spec", "named"), BAD)
async def test_a_bad_stack_is_refused_and_the_field_named(
    cluster: KubernetesCluster, spec: Any, named: str
) -> None:
    await check_refused(cluster, KIND, spec, named)
