"""Journeys and real users with real pods: an application that fails, and a browser that clicks."""

from collections.abc import Iterator

import pytest

from e2e.browser import ORIGIN, Browser, runbooks_script
from e2e.cluster.progress import ConsoleProgress
from e2e.installation import Testbed, namespace
from e2e.journey import documented_journey, secret
from e2e.kubectl import Object, wait_for
from e2e.station import STACK, Station

NAMESPACE = "e2e-synthetic"
PASSWORD = "opensesame-journey"
API_KEY = "opensesame-browser"


def stack(station: Station) -> Object:
    wanted = station.stack()
    wanted["spec"]["synthetic"] = {
        "journeys": [
            documented_journey("http://signal:8000", interval="1s", downFor="2s"),
            {
                "name": "left-out",
                "baseUrl": "http://signal:8000",
                "steps": [{"name": "only", "path": "/${nowhere}"}],
            },
        ]
    }
    wanted["spec"]["realUserMonitoring"] = {
        "apiKey": {"name": "rum", "key": "api-key"},
        "origins": [ORIGIN],
        "serviceNames": ["freeagentics-web"],
        "pages": ["/agents/:id"],
        "events": ["checkout"],
    }
    return wanted


@pytest.fixture(scope="module")
def station(testbed: Testbed) -> Iterator[Station]:
    """Return a namespace with the application, its journey, and an address for browsers."""
    found = Station(testbed, NAMESPACE)
    key = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "rum", "namespace": NAMESPACE},
        "stringData": {"api-key": API_KEY},
    }
    found.kubectl.apply(
        namespace(NAMESPACE), *found.applications(), secret(NAMESPACE, PASSWORD), key, stack(found)
    )
    wait_for("both programs", lambda: programs(found), seconds=120)
    yield found
    found.kubectl.delete("mstack", STACK, NAMESPACE)


def programs(station: Station) -> bool:
    """Tell whether the two programs of the operator's image are ready."""
    found = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
    rows = {row["name"]: row["ready"] for row in found.get("status", {}).get("components", [])}
    return [rows.get("journeys"), rows.get("rum")] == ["True", "True"]


def series(station: Station, expression: str) -> list[Object]:
    """Wait for an expression to have a result; return it."""
    found = wait_for(expression, lambda: station.query(expression), seconds=60)
    assert found
    return found


def journey(station: Station, healthy: str) -> Object:
    """Wait until the status says whether the journey succeeds; return its row."""

    def probe() -> Object:
        found = station.kubectl.get("mstack", STACK, NAMESPACE) or {}
        rows: dict[str, Object] = {row["name"]: row for row in found["status"]["journeys"]}
        assert rows["converse"]["healthy"] == healthy, rows
        return rows["converse"]

    # It is looked at every minute, or when something else wakes the stack.
    return wait_for(f"the journey to be {healthy}", probe, seconds=120)


def fail(station: Station, ratio: float) -> None:
    path = f"/api/v1/namespaces/{NAMESPACE}/services/signal:8000/proxy/faults"
    station.kubectl.run("create", "--raw", path, "-f", "-", stdin=f'{{"errorRatio": {ratio}}}')


def test_a_journey_that_names_what_nothing_gives_is_left_out_alone(station: Station) -> None:
    found = station.wait_reason("mstack", STACK, "Accepted", "JourneyLeftOut")
    assert "left-out is left out: step only names ${nowhere}" in found["message"]


def test_the_journey_of_the_documentation_succeeds_and_then_fails_at_a_step(
    station: Station,
) -> None:
    series(station, 'firewatch_journey_success{job="journeys",journey="converse"} == 1')
    steps = series(station, "firewatch_journey_step_success == 1")
    assert len(steps) == 5
    row = journey(station, "True")
    assert row["availability"]["day"] == "100.00"
    fail(station, 1)
    failure = {"journey": "converse", "step": "converse", "reason": "status"}
    (found,) = series(station, "firewatch_journey_failure == 1")
    assert failure.items() <= found["metric"].items()
    series(station, 'firewatch_journey_step_success{step="remove-agent"} == 1')
    firing = 'ALERTS{alertname="JourneyFailing",alertstate="firing",journey="converse"}'
    series(station, firing)
    alerts = station.prometheus("alerts")["alerts"]
    (alert,) = (each for each in alerts if each["labels"]["alertname"] == "JourneyFailing")
    assert "now at step converse (status)" in alert["annotations"]["description"]
    row = journey(station, "False")
    assert row["message"].startswith("step converse: it answers with another status code")
    fail(station, 0)
    wait_for("the alert to resolve", lambda: not station.query(firing), seconds=60)


def test_a_browser_tells_of_its_page(station: Station) -> None:
    browser = Browser(station.kubectl, NAMESPACE)
    browser.start(station.testbed.chromium(ConsoleProgress()))
    address = f"http://{STACK}-rum.{NAMESPACE}.svc:8080"
    visit = browser.visit(address, runbooks_script(API_KEY))
    # The page's own script that fails is all that is wrong with it.
    assert [line for line in visit.log if "a script that fails" not in line] == []
    here = 'service="freeagentics-web",environment="production",page="/agents/:id"'
    for family in (
        *("rum_page_load_seconds_count", "rum_first_contentful_paint_seconds_count"),
        *("rum_largest_contentful_paint_seconds_count", "rum_time_to_first_byte_seconds_count"),
        *("rum_interaction_to_next_paint_seconds_count", "rum_cumulative_layout_shift_count"),
        *("rum_script_errors_total", 'rum_custom_events_total{name="checkout",'),
    ):
        selector = f"{family}{here}}}" if family.endswith(",") else f"{family}{{{here}}}"
        series(station, f"{selector} == 1")
    # Once by itself, and once by the runbook's own listener.
    series(station, f'rum_interactions_total{{{here},target="button"}} == 2')
    # What the runbook's own listener makes of loadEventEnd while it is 0.
    series(station, 'rum_events_dropped_total{reason="value"} == 1')
    (load,) = series(station, f"rum_page_load_seconds_sum{{{here}}}")
    assert 0 < float(load["value"][1]) < 30


def test_names_from_outside_and_walls_come_change_and_go(station: Station) -> None:
    def change(host: str | None, **policies: object) -> None:
        ingress = {"host": host, "allowUnauthenticated": True} if host else None
        spec = {"metrics": {"ingress": ingress}, "networkPolicies": policies or None}
        station.kubectl.patch("mstack", STACK, NAMESPACE, {"spec": spec})

    def seen() -> tuple[list[str], list[int]]:
        """Return the hosts, and how many peers each policy of Prometheus lets in."""
        rules = [
            rule
            for each in station.kubectl.list("ingresses", NAMESPACE)
            for rule in each["spec"]["rules"]
        ]
        policy = station.kubectl.get("networkpolicy", f"{STACK}-prometheus", NAMESPACE)
        entrances = policy["spec"]["ingress"] if policy else []
        return [rule["host"] for rule in rules], [len(each["from"]) for each in entrances]

    everybody: Object = {"namespaceSelector": {}}
    change("one.example", allowFrom=[everybody])
    wait_for("what was asked for", lambda: seen() == (["one.example"], [4]))
    change("other.example", allowFrom=[everybody, {"podSelector": {}}])
    wait_for("the change", lambda: seen() == (["other.example"], [5]))
    change(None)
    wait_for("both to go", lambda: seen() == ([], []))


def test_no_secret_is_told(station: Station) -> None:
    objects = ("configmaps,deployments,pods,events,mstack", "-n", NAMESPACE, "-o", "yaml")
    told = station.kubectl.run("get", *objects)
    for program in ("journeys", "rum"):
        told += station.kubectl.run("logs", f"deploy/{STACK}-{program}", "-n", NAMESPACE)
        pod = f"/api/v1/namespaces/{NAMESPACE}/services/{STACK}-journeys:9119/proxy/metrics"
        told += station.kubectl.run("get", "--raw", pod)
    assert "converse" in told
    assert PASSWORD not in told
    assert API_KEY not in told
