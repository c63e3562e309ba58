"""Policies from ``kubectl apply`` to a real Prometheus and back into their status."""

import asyncio
import json
import time

import pytest

from firewatch.api.resource import Key, Object
from firewatch.build import names
from firewatch.cluster.kinds import ALERT_POLICY, MONITORING_STACK
from firewatch.reconcile import judge, judging, rules
from tests.apiserver.scene import Scene, alert, eventually, operating, stop

pytestmark = pytest.mark.usefixtures("crds", "role")


async def test_a_bad_rule_is_left_out_and_its_siblings_run(ready: Scene) -> None:
    rules = [
        alert("Good"),
        alert("Bad", "up == )"),
        alert("Odd", '{"http.requests", "a.b"=`c\\d`} > 0'),
        alert("Template", annotations={"x": "{{ $value "}),
        {"record": "a:b", "expr": "sum(up)"},
    ]
    threshold = {"signal": "cpu", "above": 80}
    ready.apply(
        ready.policy("mixed", *rules, thresholds=[threshold]), ready.policy("other", alert("Other"))
    )
    found = await ready.until("mixed", "Loaded", "Loaded")
    assert found["Accepted"] == ("False", "RulesRejected")
    assert found["Ready"] == ("False", "RulesRejected")
    status = (await ready.world.get(ALERT_POLICY, "mixed"))["status"]
    assert status["rules"] == {"total": 6, "loaded": 4}
    assert [(r["group"], r["index"], r["rule"], r["reason"]) for r in status["rejected"]] == [
        ("g", 1, "Bad", "BadExpression"),
        ("g", 3, "Template", "BadTemplate"),
    ]
    assert "unexpected right parenthesis" in status["rejected"][0]["message"]
    assert (await ready.until("other", "Loaded", "Loaded"))["Ready"] == ("True", "Ready")
    assert await ready.alerts() == {"Good", "Odd", "HighCPUUsage", "Other"}


async def test_quiet_passes_and_a_restart_write_nothing(ready: Scene) -> None:
    ready.apply(ready.policy("a", alert("A")), ready.policy("b", alert("B"), alert("C", "up ==")))
    await ready.until("a", "Loaded", "Loaded")
    await ready.until("b", "Loaded", "Loaded")
    await eventually(
        lambda found: found["Loaded"] == ("True", "Loaded"), ready.world.conditions, seconds=30
    )
    keys = [Key("MonitoringStack", ready.world.namespace, "main")]
    keys += [Key("Rules", ready.world.namespace, name) for name in ("", "main")]
    for key in keys:
        ready.loop.wake(key)
    await asyncio.sleep(1)
    ready.world.recorder.written()
    for key in keys:
        ready.loop.wake(key)
    await asyncio.sleep(1)
    assert ready.world.recorder.written() == []
    async with operating(ready.world) as (restarted, _):
        for key in keys:
            restarted.wake(key)
        await asyncio.sleep(1)
        assert ready.world.recorder.written() == []
    stack = await ready.world.get(MONITORING_STACK, "main")
    assert stack["status"]["rules"] == {"policies": 2, "loaded": 2}


async def test_a_changed_policy_is_confirmed_in_its_new_form_and_a_deleted_one_goes(
    ready: Scene,
) -> None:
    ready.apply(ready.policy("a", alert("Old")), ready.policy("b", alert("B")))
    await ready.until("a", "Ready", "Ready")
    ready.apply(ready.policy("a", alert("New")))
    await ready.until("a", "Ready", "Ready")
    assert await ready.alerts() == {"New", "B"}
    ready.delete("a")
    await eventually(lambda found: found == {"B"}, ready.alerts, seconds=10)


async def test_advice_stands_in_the_status_and_follows_how_often_the_stack_scrapes(
    ready: Scene,
) -> None:
    async def advice() -> list[tuple[int, str]]:
        live = await ready.world.get(ALERT_POLICY, "a")
        return [(w["index"], w["code"]) for w in live["status"].get("warnings", ())]

    full = {"for": "1m", "annotations": {"summary": "s", "runbook_url": "https://example.com"}}
    narrow = alert("Narrow", "rate(app_requests_total[2m]) > 1", **full)
    ready.apply(ready.policy("a", alert("Bare"), narrow))
    await ready.until("a", "Loaded", "Loaded")
    bare = [(0, "NoFor"), (0, "NoSummary"), (0, "NoRunbook")]
    assert await advice() == bare
    ready.stack(metrics={"scrapeInterval": "1m"})
    await eventually(lambda found: found == [*bare, (1, "ShortRateWindow")], advice, seconds=15)


async def wait_for(scene: Scene, what: str, condition: str) -> None:
    """Wait as a pipeline does, while the operator works."""
    await asyncio.to_thread(
        scene.world.kubectl,
        *("-n", scene.world.namespace, "wait", what, f"--for=condition={condition}"),
        "--timeout=60s",
    )


async def test_kubectl_wait_does_not_end_before_a_change_runs(ready: Scene) -> None:
    """The conditions of the spec before stand until a busy operator comes to the new one."""
    ready.apply(ready.policy("a", alert("V0")))
    await wait_for(ready, "apol/a", "Ready")
    for version in range(1, 4):
        busy = [ready.policy(f"busy-{n}", alert(f"Busy{n}v{version}")) for n in range(40)]
        ready.stack(metrics={"externalLabels": {"version": f"v{version}"}})
        ready.apply(*busy, ready.policy("a", alert(f"V{version}")))
        await wait_for(ready, "apol/a", "Ready")
        assert f"V{version}" in await ready.alerts()
        await wait_for(ready, "mstack/main", "Loaded")
        assert f"version: v{version}" in await ready.prometheus().configuration()


async def test_rules_wait_for_a_server(scene: Scene) -> None:
    scene.stack()
    scene.apply(scene.policy("a", alert("A")))
    found = await scene.until("a", "Accepted", "NoServer")
    assert found["Ready"][0] == "False"
    assert await scene.slots() == {}
    await scene.node.create_pod()
    scene.loop.wake(Key("MonitoringStack", scene.world.namespace, "main"))
    await scene.until("a", "Ready", "Ready")


async def test_a_policy_without_a_stack_is_told_what_to_do(scene: Scene) -> None:
    scene.apply(
        scene.policy("a", alert("A")), scene.policy("b", alert("B"), stackRef={"name": "x"})
    )
    await scene.until("a", "Accepted", "NoStack")
    await scene.until("b", "Accepted", "StackNotFound")
    for name in ("main", "second"):
        scene.stack(name)
    await scene.until("a", "Accepted", "AmbiguousStack")
    scene.world.kubectl("-n", scene.world.namespace, "delete", "mstack/second")
    scene.loop.wake(Key("MonitoringStack", scene.world.namespace, "second"))
    await scene.until("a", "Accepted", "NoServer")
    scene.stack(exporters={})
    await scene.until("a", "Accepted", "NoMetrics")


async def test_a_file_that_only_the_server_refuses_is_found_among_many(
    ready: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever our own checks overlook stops one policy, not all of them."""
    ready.apply(ready.policy("edited", alert("Before")), ready.policy("steady", alert("Steady")))
    await ready.until("edited", "Ready", "Ready")
    monkeypatch.setattr(judging, "check_groups", lambda _, **__: {})
    broken = alert("Broken", annotations={"x": "{{ nosuch }}"})
    many = [ready.policy(f"new-{n}", alert(f"New{n}")) for n in range(6)]
    ready.apply(*many, ready.policy("edited", broken), ready.policy("fresh", broken))
    for name in ("edited", "fresh"):
        found = await ready.until(name, "Loaded", "RejectedByServer", seconds=40)
        assert found["Ready"] == ("False", "RejectedByServer")
    for n in range(6):
        await ready.until(f"new-{n}", "Ready", "Ready")
    assert await ready.alerts() == {"Before", "Steady", *(f"New{n}" for n in range(6))}
    status = (await ready.world.get(ALERT_POLICY, "edited"))["status"]
    assert status["rules"] == {"total": 1, "loaded": 0}
    ready.world.recorder.written()
    async with operating(ready.world) as (restarted, _):
        for name in ("", "main"):
            restarted.wake(Key("Rules", ready.world.namespace, name))
        await asyncio.sleep(1)
        assert ready.world.recorder.written() == []
    monkeypatch.undo()
    ready.apply(ready.policy("edited", alert("After")))
    await ready.until("edited", "Ready", "Ready")
    assert "After" in await ready.alerts()


@pytest.mark.usefixtures("quick_kubelet")
async def test_rules_of_which_prometheus_died_are_taken_back(
    ready: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bad file must not keep Prometheus from starting for ever."""
    ready.apply(ready.policy("good", alert("Good")))
    await ready.until("good", "Ready", "Ready")
    monkeypatch.setattr(judging, "check_groups", lambda _, **__: {})
    ready.node.paused = True
    ready.apply(ready.policy("bad", alert("Bad", annotations={"x": "{{ nosuch }}"})))
    await eventually(lambda found: len(found) == 2, ready.slots, seconds=10)
    ready.node.set_ready(ready=False, restarts=2)
    await stop(ready.task)
    async with operating(ready.world) as (restarted, _):
        restarted.wake(Key("Rules", ready.world.namespace, "main"))
        await eventually(lambda found: len(found) == 1, ready.slots, seconds=10)
        ready.node.paused = False
        ready.node.set_ready(ready=True)
        restarted.wake(Key("Rules", ready.world.namespace, "main"))
        await ready.until("bad", "Loaded", "RejectedByServer", seconds=120)
    assert await ready.alerts() == {"Good"}


async def test_objectives_run_and_the_status_says_how_soon_people_are_told(ready: Scene) -> None:
    slo = {"name": "up", "objective": 99, "gauge": {"metric": "up"}}
    slow = alert("Slow", **{"for": "5m"})
    ready.apply(ready.policy("a", slow, slos=[slo]))
    await ready.until("a", "Ready", "Ready")
    assert await ready.alerts() == {"ErrorBudgetBurn", "SLODataMissing", "Slow"}
    status = (await ready.world.get(ALERT_POLICY, "a"))["status"]
    assert status["detection"] == [
        {"alert": "Slow", "within": "5m30s"},
        {"alert": "SLODataMissing", "within": "3m30s"},
        {"alert": "ErrorBudgetBurn", "within": "30s"},
    ]
    warned = [(each["code"], each["rule"]) for each in status["warnings"]]
    assert warned[:2] == [
        ("DetectionBudgetExceeded", "Slow"),
        # Prometheus keeps samples for 15 days by default.
        ("WindowBeyondRetention", "slo:error_budget_remaining:ratio"),
    ]


def create_foreign(scene: Scene, slot: int, file: str, text: str) -> None:
    """Create a ConfigMap under a name of ours; it is mounted by its name, whoever made it."""
    scene.world.kubectl(
        *("-n", scene.world.namespace, "create", "configmap", names.rules_name("main", slot)),
        f"--from-literal={file}={text}",
    )


async def test_somebody_elses_configmap_concerns_the_policies_of_its_slot_only(
    ready: Scene,
) -> None:
    slots = {name: names.policy_slot(ready.world.namespace, name) for name in "abcdefgh"}
    other = next(name for name in slots if slots[name] != slots["a"])
    file = names.policy_file(ready.world.namespace, "a")
    create_foreign(ready, slots["a"], file, "groups: []")
    ready.apply(ready.policy("a", alert("A")), ready.policy(other, alert("Other")))
    await ready.until(other, "Ready", "Ready")
    found = await ready.until("a", "Applied", "Conflict")
    assert found["Ready"] == ("False", "Conflict")


@pytest.mark.usefixtures("quick_kubelet")
async def test_no_policy_is_blamed_for_what_is_not_its_fault(ready: Scene) -> None:
    """Prometheus refuses everything because of a file that is not ours."""
    slots = {names.policy_slot(ready.world.namespace, name) for name in "ab"}
    create_foreign(ready, next(s for s in range(32) if s not in slots), "x.yml", "not rules")
    ready.apply(ready.policy("a", alert("A")), ready.policy("b", alert("B")))
    found = await ready.until("a", "Loaded", "Reloading", seconds=30)
    assert found["Ready"] == ("False", "Reloading")
    assert (await ready.conditions("b"))["Loaded"] == ("Unknown", "Reloading")
    ours = {names.policy_file(ready.world.namespace, name) for name in "ab"}
    await eventually(lambda found: found.keys() == {*ours, "x.yml"}, ready.slots, seconds=15)

    async def written_in_three_seconds() -> list[str]:
        ready.world.recorder.written()
        await asyncio.sleep(3)
        return [*ready.world.recorder.written()]

    # The last nudge comes four seconds after the first.
    await eventually(lambda found: found == [], written_in_three_seconds, seconds=15)


async def test_many_policies_cost_one_status_each_and_few_other_writes(ready: Scene) -> None:
    count = 150
    ready.apply(*(ready.policy(f"p{n}", alert(f"A{n}")) for n in range(count)))
    started = time.monotonic()
    for n in range(count):
        await ready.until(f"p{n}", "Ready", "Ready", seconds=30)
    print(f"{count} policies loaded and told in {time.monotonic() - started:.1f} s")
    assert len(await ready.alerts()) == count
    written = ready.world.recorder.written()
    statuses = [text for text in written if text.startswith("jsonPatch AlertPolicy/")]
    assert len(statuses) == count
    assert len(written) - count < 60


async def test_policies_are_read_in_parts_and_again_where_their_rules_are_gone(
    ready: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(judge, "NEW_IN_A_PASS", 3)
    monkeypatch.setattr(rules, "NEW_IN_A_PASS", 3)
    wanted = {f"A{n}" for n in range(10)}
    ready.apply(*(ready.policy(f"p{n}", alert(f"A{n}")) for n in range(10)))
    for n in range(10):
        await ready.until(f"p{n}", "Ready", "Ready", seconds=30)
    assert await ready.alerts() == wanted
    before = await ready.slots()
    selector = f"{names.COMPONENT_LABEL}={names.RULES}"
    ready.world.kubectl("-n", ready.world.namespace, "delete", "configmap", "-l", selector)
    assert await ready.slots() == {}
    ready.loop.wake(Key("Rules", ready.world.namespace, "main"))
    await eventually(lambda found: found == before, ready.slots, seconds=30)


def send(scene: Scene, verb: str, policy: Object) -> None:
    """Create or replace a policy that is too large for what ``kubectl apply`` adds to it."""
    scene.world.kubectl(verb, "-f", "-", text=json.dumps(policy))
    scene.loop.wake(Key("AlertPolicy", scene.world.namespace, policy["metadata"]["name"]))


async def test_a_policy_larger_than_a_configmap_is_named_and_the_others_run(ready: Scene) -> None:
    long = "x" * 4000
    rules = [alert(f"Large{n}", annotations={"a": long, "b": long}) for n in range(120)]
    large = ready.policy("large", *rules)
    assert len(json.dumps(large)) > 900 * 1024
    send(ready, "create", large)
    ready.apply(ready.policy("small", alert("Small")))
    found = await ready.until("large", "Applied", "RulesTooLarge")
    assert found["Ready"] == ("False", "RulesTooLarge")
    await ready.until("small", "Ready", "Ready")
    assert await ready.alerts() == {"Small"}
    send(ready, "replace", ready.policy("large", *rules[:100]))
    await ready.until("large", "Ready", "Ready", seconds=60)
    assert len(await ready.alerts()) == 101
