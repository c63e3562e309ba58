"""What a tenant's resources name of a neighbour they do not get: not a byte, and nothing there changes.

Every example, and every field that names another object or a namespace, is led to something that stands
in the neighbour's namespace and not in the tenant's.
"""

import json
import re
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator
from copy import deepcopy

import pytest

from e2e.kubectl import wait_for
from firewatch.api.resource import Object
from firewatch.api.responses import OPT_IN_LABEL
from tests.apiserver.answering import GOOD, answering
from tests.apiserver.everything import objects, ours, resources, statuses
from tests.apiserver.kubectl import Kubectl
from tests.apiserver.naming import NOBODY_THERE, RECEIVER, STACK, changing, named
from tests.apiserver.references import fields, schemas, settings_of
from tests.apiserver.tenants import (
    NEIGHBOUR,
    OWNER,
    TENANT,
    Town,
    standing,
    steady,
    town,
    verdicts,
)
from tests.apiserver.test_canary import CANARY, spellings

THEIRS = "theirs"
"""Name of all that is the neighbour's."""
LODGER = "lodger"
"""A namespace without a stack."""
WORD = f"https://hook.invalid/{CANARY}"
LENT = "https://hook.invalid/lent-on-purpose"
OWN_TOKEN = "a-token-that-nobody-guesses"
NOT_READ = (
    *("exporters.blackbox", "exporters.custom", "imagePullSecrets", "policies.namespaces"),
    "synthetic.healthChecks",
)
"""What the operator only hands on to pods, or takes for leave; kubelet looks for it in their namespace."""
WHOLE_CLUSTER = ("metrics.scrapeJobs.namespaces", "exporters.kubeStateMetrics.namespaces")
"""What takes the right to read the whole cluster."""


def secret(name: str, namespace: str, texts: dict[str, str]) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": texts}


def config_map(name: str, namespace: str, texts: dict[str, str]) -> Object:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": texts}


def deployment() -> Object:
    container = {"name": "c", "image": "registry.example/none"}
    template = {"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [container]}}
    labels = {OPT_IN_LABEL: "enabled"}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": THEIRS, "namespace": NEIGHBOUR, "labels": labels},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "x"}},
            "template": template,
        },
    }


def chat(name: str) -> list[Object]:
    """Return a receiver with a Secret."""
    return [{"name": RECEIVER, "slack": [{"apiUrl": {"name": name, "key": "url"}}]}]


def policy(name: str, namespace: str, kept: str, **spec: object) -> Object:
    """Return a policy that has its alerts told by a Secret of its own."""
    found = {
        "groups": [{"name": "g", "rules": [{"alert": "A", "expr": "vector(1)"}]}],
        "receivers": chat(kept),
        "routes": [{"matchers": ['alertname="A"'], "receiver": RECEIVER}],
        **spec,
    }
    return ours("AlertPolicy", name, namespace, found)


def alerting(name: str) -> Object:
    return {"receivers": chat(name), "route": {"receiver": RECEIVER}}


def theirs(keys: set[str]) -> list[Object]:
    """Return what stands in the neighbour's namespace: one of all that can be named."""
    source = {"prometheus": {"url": NOBODY_THERE}, "webhookToken": {"name": THEIRS, "key": "token"}}
    stack = {"metrics": {}, "alerting": alerting(THEIRS)}
    kept = {"stackRef": {"name": THEIRS}, "metrics": {"time": "1d"}}
    return [
        config_map(THEIRS, NEIGHBOUR, dict.fromkeys(keys, WORD)),
        deployment(),
        ours("MonitoringStack", THEIRS, NEIGHBOUR, stack),
        policy(THEIRS, NEIGHBOUR, THEIRS),
        ours("RetentionPolicy", THEIRS, NEIGHBOUR, kept),
        changing(THEIRS, NEIGHBOUR, source=source, target={"name": THEIRS}),
    ]


def led_astray(resource: Object) -> Iterator[Object]:
    """Yield a resource with what it names led to the neighbour: keys, and all else.

    A stack of one's own has to stay, or nobody would look for the keys.
    """
    if resource["kind"] == "MonitoringStack":
        yield _led(resource)
        return
    if any("key" in value for _, value in settings_of(resource)):
        yield _led(resource, keys=True)
    if any("key" not in value for _, value in settings_of(resource)):
        found = _led(resource, keys=False)
        found["metadata"]["name"] += "-elsewhere"
        if found["kind"] == "AutoResponse" and "source" not in found["spec"]:
            found["spec"].setdefault("stackRef", {"name": STACK})
        yield found


def _led(resource: Object, *, keys: bool | None = None) -> Object:
    """Return a resource with its references to keys, those to other things, or all of them led away."""
    found = deepcopy(resource)
    found["metadata"]["namespace"] = TENANT
    for path, value in settings_of(found):
        if keys is not None and ("key" in value) is not keys:
            continue
        if isinstance(value, list):
            value[:] = [NEIGHBOUR]
        else:
            value["name"] = THEIRS
            if (found["kind"], path) == ("AlertPolicy", "stackRef"):
                value["namespace"] = NEIGHBOUR
    return found


def expected(resource: Object) -> set[str]:
    """Return what the status has to say about what a resource names of the neighbour."""
    found = set()
    for path, value in settings_of(resource):
        if path in WHOLE_CLUSTER:
            found.add("clusterStacks.namespaces")
        elif not path.startswith(NOT_READ) and value["name"] == THEIRS:
            found.add(THEIRS)
    return found


def complaints(live: Object) -> str:
    """Return everything in a status that says what is wrong."""
    status = live["status"]
    rows = [each for each in status["conditions"] if each["status"] != "True"]
    rows += status.get("leftOut", [])
    for part, name in (("alerting", "leftOut"), ("notices", "deliveries")):
        rows += status.get(part, {}).get(name, [])
    return json.dumps(rows)


@pytest.fixture(scope="module")
def wanted() -> Iterator[list[Object]]:
    """Return what the tenant applies."""
    with answering() as servers:
        found = [*resources(), *named(TENANT, servers.url(GOOD))]
        yield [each for resource in found for each in led_astray(resource)]


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory, wanted: list[Object]) -> Iterator[Town]:
    values = (value for each in wanted for _, value in settings_of(each))
    keys = {value["key"] for value in values if "key" in value} | {"url", "token"}
    with town(tmp_path_factory.mktemp("town")) as found:
        # kubectl apply would write the values into an annotation.
        for each in (
            secret(THEIRS, NEIGHBOUR, dict.fromkeys(keys, WORD)),
            secret("own", TENANT, {"token": OWN_TOKEN}),
        ):
            found.kubectl("create", "-f", "-", text=json.dumps(each))
        found.apply(*theirs(keys))
        wait_for("the neighbour's statuses", lambda: statuses(found.kubectl))
        wait_for("the neighbour's receivers", lambda: holders(found.kubectl, NEIGHBOUR, WORD))
        yield found


def held(each: Object) -> str:
    """Return what a Secret holds."""
    parts = (b64decode(text).decode(errors="replace") for text in each.get("data", {}).values())
    return "\n".join(parts)


def holders(kubectl: Kubectl, namespace: str, word: str) -> list[str]:
    """Return the Secrets of the operator's that hold a word."""
    chosen = ("-l", "app.kubernetes.io/managed-by=firewatch", "-o", "json")
    items = json.loads(kubectl("-n", namespace, "get", "secrets", *chosen))["items"]
    return [each["metadata"]["name"] for each in items if word in held(each)]


def leaks(here: Town, *owners: str) -> list[str]:
    """Return where the word stands but in what is its owners': Secrets of theirs, and the ConfigMap."""
    texts = [("the operator's log", here.operator.said())]
    for each in objects(here.kubectl):
        place = each["metadata"].get("namespace", "")
        where = f"{each['kind']} {place}/{each['metadata']['name']}"
        if where == f"ConfigMap {NEIGHBOUR}/{THEIRS}":
            continue
        is_secret = each["kind"] == "Secret"
        inside = held(each) if is_secret else ""
        if is_secret and place in owners:
            inside, each["data"] = "", {}
        texts.append((where, f"{json.dumps(each)}\n{inside}"))
    words = spellings(CANARY)
    return sorted(where for where, text in texts if any(word in text for word in words))


def send(here: Town, namespace: str, token: str) -> int:
    """Send by the webhook of a namespace that the alert fires; return how that is answered."""
    alert = {"status": "firing", "labels": {"alertname": "A"}}
    request = urllib.request.Request(
        f"http://127.0.0.1:{here.operator.receiver}/webhook/{namespace}",
        json.dumps({"version": "4", "status": "firing", "alerts": [alert]}).encode(),
        {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def test_every_field_that_names_something_is_tried() -> None:
    tried: dict[str, set[str]] = {}
    for each in named(TENANT, NOBODY_THERE):
        tried.setdefault(each["kind"], set()).update(path for path, _ in settings_of(each))
    assert tried == {
        kind: {path for path, _ in fields(schema)} for kind, schema in schemas().items()
    }


def test_no_name_of_a_reference_can_say_a_namespace() -> None:
    for kind, schema in schemas().items():
        for path, field in fields(schema):
            pattern = field.get("properties", {}).get("name", {}).get("pattern")
            if pattern:
                assert not re.search(pattern, f"{NEIGHBOUR}/{THEIRS}"), (kind, path)
            else:
                assert field["type"] == "array", (kind, path)


def refusals(kubectl: Kubectl, wanted: list[Object]) -> bool:
    """Tell whether each status says what it has to; fails with those that do not."""
    items = json.loads(kubectl("-n", TENANT, "get", "mstack,apol,aresp,rpol", "-o", "json"))
    said = {(each["kind"], each["metadata"]["name"]): each for each in items["items"]}
    missing = {}
    for each in wanted:
        key = (each["kind"], each["metadata"]["name"])
        words = complaints(said[key])
        if left := {word for word in expected(each) if word not in words}:
            missing[key] = (left, words)
    assert not missing, missing
    return True


def test_nothing_of_a_neighbour_is_had_by_naming_it(here: Town, wanted: list[Object]) -> None:
    kubectl = here.kubectl
    before = steady("the neighbour to stand", lambda: (standing(kubectl), verdicts(kubectl)))
    writes = here.audit()
    own = {"prometheus": {"url": NOBODY_THERE}, "webhookToken": {"name": "own", "key": "token"}}
    fired = changing("fired", TENANT, source=own, target={"name": THEIRS})
    here.apply(*wanted, fired, user=OWNER)
    wait_for("every refusal", lambda: refusals(kubectl, wanted), seconds=90)
    wait_for("the alert to be taken", lambda: send(here, TENANT, OWN_TOKEN) == 200, pause=1)
    assert send(here, NEIGHBOUR, OWN_TOKEN) == 401
    assert send(here, TENANT, WORD) == 401, "it is a token, but the neighbour's"
    wait_for("the alert to have been refused", lambda: is_refused(kubectl))
    assert leaks(here, NEIGHBOUR) == []
    assert (standing(kubectl), verdicts(kubectl)) == before
    assert writes.of_people(NEIGHBOUR) == []
    # What the operator says of the neighbour it says anyway.
    kinds = {kind for kind, _ in writes.of_operator(NEIGHBOUR)}
    assert {kind for kind in kinds if kind != "events" and not kind.endswith("/status")} == set()


def is_refused(kubectl: Kubectl) -> bool:
    live = json.loads(kubectl("-n", TENANT, "get", "aresp/fired", "-o", "json"))
    return live["status"]["state"] == "Refused" and THEIRS in complaints(live)


def test_a_stack_gets_nothing_of_a_policy_that_does_not_name_it(here: Town) -> None:
    """A tenant may write into a stack whose policies it takes; only a policy says whose it is."""
    kubectl = here.kubectl
    kubectl("create", "namespace", LODGER)
    for name, url in (("lent", LENT), (THEIRS, WORD)):
        text = json.dumps(secret(name, LODGER, {"url": url}))
        kubectl("create", "-f", "-", text=text)
    here.apply(policy("private", LODGER, THEIRS))
    before = steady("the policy to stand", lambda: verdicts(kubectl, LODGER))
    spec = {"metrics": {}, "alerting": alerting("own"), "policies": {"namespaces": [LODGER]}}
    here.apply(ours("MonitoringStack", "taker", TENANT, spec), user=OWNER)
    here.apply(policy("lent", LODGER, "lent", stackRef={"name": "taker", "namespace": TENANT}))
    wait_for("what was lent to arrive", lambda: holders(kubectl, TENANT, LENT))
    after = wait_for("both to stand", lambda: verdicts(kubectl, LODGER))
    assert after.pop("AlertPolicy/lent")["stack"] == f"{TENANT}/taker"
    assert after == before
    assert leaks(here, NEIGHBOUR, LODGER) == []
