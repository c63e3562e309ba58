"""Resources in which every field that names another object or a namespace stands, in every form."""

from collections.abc import Iterator

from firewatch.api.resource import Object
from tests.apiserver.everything import ours

STACK = "full-0"
"""A stack with Prometheus and Alertmanager, whatever else is left out of it."""
RECEIVER = "all"
SOMEWHERE = "named"
"""Name of all that is named."""
NOBODY_THERE = "https://127.0.0.1:1"


def ref(key: str) -> Object:
    return {"name": SOMEWHERE, "key": key}


def file(kind: str, key: str) -> Object:
    """Return a key of a Secret or of a ConfigMap: ``kind`` is ``secret`` or ``configMap``."""
    return {kind: ref(key)}


def clients() -> list[Object]:
    """Return how Prometheus proves itself to a server, in every way."""

    def tls(kind: str) -> Object:
        files = {"ca": file(kind, "ca.crt"), "cert": file(kind, "tls.crt")}
        return {**files, "keySecret": ref("tls.key")}

    secret = {"clientId": "firewatch", "clientSecret": ref("secret")}
    return [
        {"authorization": {"credentials": ref("token")}, "tlsConfig": tls("secret")},
        {
            "basicAuth": {"username": ref("user"), "password": ref("password")},
            "tlsConfig": tls("configMap"),
        },
        {"oauth2": {**secret, "tokenUrl": "https://login.invalid/token"}},
    ]


def receiver() -> Object:
    """Return somebody who is told in every way, by everything that it takes."""

    def bearer() -> Object:
        return {"bearerToken": ref("token"), "tls": {"ca": ref("ca.crt")}}

    def basic() -> Object:
        return {"basicAuth": {"username": "u", "password": ref("password")}}

    both = (bearer, basic)
    return {
        "name": RECEIVER,
        "webhook": [{"urlSecret": ref("url"), "httpConfig": each()} for each in both],
        "pagerduty": [
            {"routingKey": ref("key"), "httpConfig": bearer()},
            {"serviceKey": ref("key"), "httpConfig": basic()},
        ],
        "slack": [{"apiUrl": ref("url"), "httpConfig": each()} for each in both],
    }


def metrics(kind: str) -> Object:
    jobs = [
        {"name": f"job{number}", "targets": ["a.invalid:1"], "scheme": "https", **client}
        for number, client in enumerate(clients())
    ]
    far = {"name": "far", "podSelector": {}, "port": "1", "namespaces": [SOMEWHERE]}
    remotes = [
        {"name": f"to{number}", "url": "https://archive.invalid/write", **client}
        for number, client in enumerate(clients())
    ]
    remotes[0]["secretHeaders"] = {"X-Key": ref("key")}
    web = {
        "ca": file(kind, "ca.crt"),
        "cert": file(kind, "tls.crt"),
        "keySecret": ref("tls.key"),
    }
    return {
        "additionalScrapeConfigs": ref("jobs"),
        "scrapeJobs": [*jobs, far],
        "remoteWrite": remotes,
        "web": {"tlsConfig": web},
    }


def exporters(kind: str) -> Object:
    def tls() -> Object:
        return {"ca": ref("ca.crt")}

    basic = {"username": "u", "password": ref("password")}
    modules = {
        "basic": {"prober": "http", "http": {"basicAuth": basic, "tlsConfig": tls()}},
        "bearer": {"prober": "http", "http": {"authorization": {"credentials": ref("token")}}},
        "headers": {"prober": "http", "http": {"secretHeaders": {"X-Key": ref("token")}}},
        "tcp": {"prober": "tcp", "tcp": {"tlsConfig": tls()}},
        "dns": {"prober": "dns", "dns": {"queryName": "a.invalid", "tlsConfig": tls()}},
    }
    env = [{"name": "PASSWORD", "secretKeyRef": ref("password")}]
    own = {"name": "own", "image": "registry.invalid/exporter:1", "port": 9000, "env": env}
    database = {
        "name": "db",
        "host": "db.invalid",
        "username": ref("user"),
        "password": ref("password"),
        "ca": file(kind, "ca.crt"),
    }
    return {
        "blackbox": {"modules": modules},
        "custom": [own],
        "postgres": [database],
        "kubeStateMetrics": {"namespaces": [SOMEWHERE]},
    }


def health_checks() -> Iterator[Object]:
    """Yield checks that prove themselves in every way."""
    ways: list[Object] = [
        {"secretHeaders": {"X-Key": ref("token")}, "tlsConfig": {"ca": ref("ca.crt")}},
        {"basicAuth": {"username": "u", "password": ref("password")}},
        {"authorization": {"credentials": ref("token")}},
    ]
    for number, http in enumerate(ways):
        yield {"name": f"check{number}", "url": "https://api.invalid/", "http": http}


def journey() -> Object:
    """Return a journey whose variables and certificates are kept elsewhere."""
    return {
        "name": "travel",
        "baseUrl": "https://api.invalid",
        "tlsConfig": {"ca": ref("ca.crt")},
        "variables": [{"name": "password", "secretKeyRef": ref("password")}],
        "steps": [{"name": "log-in"}],
    }


def visualization(kind: str) -> Object:
    """Return a Grafana that is led to Secrets in every way."""
    client = {"clientId": "firewatch", "clientSecret": ref("secret")}
    urls = {"authUrl": "https://login.invalid/a", "tokenUrl": "https://login.invalid/t"}
    generic = {**client, **urls, "ca": file(kind, "ca.crt")}
    mail = {"smarthost": "mail.invalid:587", "from": "fire@mail.invalid", "authUsername": "u"}
    logs = {
        "name": "logs",
        "type": "loki",
        "url": "http://logs.invalid",
        "basicAuth": {"username": "u", "password": ref("password")},
        "secureJsonData": {"httpHeaderValue1": ref("token")},
    }
    return {
        "database": {"host": "db.invalid", "password": ref("password"), "ca": file(kind, "ca.crt")},
        "admin": {"password": ref("password")},
        "login": {"github": client, "google": client, "generic": generic},
        "smtp": {**mail, "authPassword": ref("password")},
        "dataSources": [logs],
    }


def smtp() -> Object:
    return {
        "smarthost": "mail.invalid:587",
        "from": "fire@mail.invalid",
        "authUsername": "u",
        "authPassword": ref("password"),
        "tls": {"ca": ref("ca.crt")},
    }


def stacks(namespace: str) -> Iterator[Object]:
    for number, kind in enumerate(("secret", "configMap")):
        alerting = {
            "smtp": smtp(),
            "templates": [{"name": "texts", "configMap": ref("texts")}],
            "receivers": [receiver()],
            "route": {"receiver": RECEIVER},
        }
        spec = {
            "imagePullSecrets": [{"name": SOMEWHERE}],
            "policies": {"namespaces": [SOMEWHERE]},
            "metrics": metrics(kind),
            "exporters": exporters(kind),
            "alerting": alerting,
            "visualization": visualization(kind),
            "synthetic": {"healthChecks": [*health_checks()], "journeys": [journey()]},
            "realUserMonitoring": {
                "apiKey": ref("key"),
                "origins": ["https://app.invalid"],
                "serviceNames": ["web"],
            },
        }
        yield ours("MonitoringStack", f"full-{number}", namespace, spec)
    for number, access in enumerate(servers()):
        tls = {"ca": file("secret" if number % 2 else "configMap", "ca.crt")}
        grafana = {"url": NOBODY_THERE, "token": ref("token"), "tlsConfig": tls}
        spec = {"external": {"prometheus": {"url": NOBODY_THERE, **access}, "grafana": grafana}}
        yield ours("MonitoringStack", f"elsewhere-{number}", namespace, spec)


def policies(namespace: str) -> Iterator[Object]:
    spec = {
        "stackRef": {"name": STACK},
        "groups": [{"name": "g", "rules": [{"alert": "A", "expr": "vector(1)"}]}],
        "receivers": [receiver()],
        "routes": [{"matchers": ['alertname="A"'], "receiver": RECEIVER}],
    }
    yield ours("AlertPolicy", "full", namespace, spec)
    yield ours("RetentionPolicy", "full", namespace, retention())


def retention() -> Object:
    return {"stackRef": {"name": STACK}, "metrics": {"time": "1d"}}


def servers() -> list[Object]:
    """Return how the operator proves itself to a server of a source, in every way."""
    return [
        {"authorization": {"credentials": ref("token")}},
        {"basicAuth": {"username": ref("user"), "password": ref("password")}},
        {"tlsConfig": {"ca": file("secret", "ca.crt")}},
        {"tlsConfig": {"ca": file("configMap", "ca.crt")}},
    ]


def changing(name: str, namespace: str, **spec: object) -> Object:
    """Return an AutoResponse that scales something."""
    found = {
        "trigger": {"alert": "A"},
        "target": {"name": "own"},
        "actions": [{"scaleUp": {"by": 1, "maxReplicas": 9}}],
        "mode": "enforce",
        **spec,
    }
    return ours("AutoResponse", name, namespace, found)


def telling(name: str, namespace: str, *notify: Object) -> Object:
    """Return an AutoResponse that only tells people."""
    spec = {
        "stackRef": {"name": STACK},
        "trigger": {"alert": "A"},
        "actions": [{"notify": each} for each in notify],
        "mode": "enforce",
    }
    return ours("AutoResponse", name, namespace, spec)


def responses(namespace: str, good: str) -> Iterator[Object]:
    """Yield AutoResponses; ``good`` is the address of a Prometheus that answers."""
    yield changing("stack", namespace, stackRef={"name": STACK})
    for number, access in enumerate(servers()):
        bad = {"url": NOBODY_THERE, **access}
        source = {"prometheus": bad, "webhookToken": ref("token")}
        yield changing(f"prometheus-{number}", namespace, source=source)
    for number, access in enumerate(servers()):
        bad = {"url": NOBODY_THERE, **access}
        source = {"prometheus": {"url": good}, "alertmanager": bad}
        silenced = {"onSilence": "release"}
        yield changing(f"alertmanager-{number}", namespace, source=source, recovery=silenced)
    fallback = {"mechanism": "fallback", "fallback": {"target": {"name": SOMEWHERE}}}
    yield changing(
        "breaker",
        namespace,
        stackRef={"name": STACK},
        actions=[{"circuitBreaker": fallback}],
    )
    hook = {"urlSecret": ref("url"), "bearerToken": ref("token"), "tls": {"ca": ref("ca.crt")}}
    login = {"basicAuth": {"username": "u", "password": ref("password")}}
    yield telling(
        "by-hooks",
        namespace,
        {"slack": {"apiUrl": ref("url")}},
        {"pagerduty": {"routingKey": ref("key")}},
        {"webhook": hook},
        {"webhook": {"url": "https://hook.invalid/take", **login}},
    )
    mail = {"to": ["team@mail.invalid"], "smtp": smtp()}
    yield telling("by-mail", namespace, {"email": mail})


def named(namespace: str, good: str) -> list[Object]:
    """Return all of them in a namespace."""
    return [*stacks(namespace), *policies(namespace), *responses(namespace, good)]
