"""The last good configuration: kept, put back, and let go when the stack changes."""

from typing import Any

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.reconcile.last_good import (
    choose_configuration,
    differing_parts,
    refused_parts,
    starts_in_vain,
    take_back,
)

KEY, GOOD, REFUSED = names.CONFIG_KEY, names.LAST_GOOD_KEY, names.REFUSED_KEY


def config(revision: str) -> str:
    return f"rule_files:\n- {names.CONFIG_DIRECTORY}/revision-{revision}\n"


def config_map(data: dict[str, str]) -> Object:
    return {"metadata": {"name": "c"}, "data": {**data}}


def choose(wanted: str, live: dict[str, str], *, confirmed: str) -> dict[str, str]:
    chosen = choose_configuration(config_map({KEY: wanted}), config_map(live), confirmed=confirmed)
    data: dict[str, str] = chosen["data"]
    return data


A, B, C = config("a"), config("b"), config("c")


def test_what_was_confirmed_is_kept_beside_what_replaces_it() -> None:
    assert choose(B, {KEY: A}, confirmed="a") == {KEY: B, GOOD: A}


def test_what_was_never_confirmed_is_not_kept() -> None:
    assert choose(C, {KEY: B, GOOD: A}, confirmed="a") == {KEY: C, GOOD: A}
    assert choose(C, {KEY: B}, confirmed="") == {KEY: C}


def test_an_unchanged_configuration_stays_byte_for_byte() -> None:
    for confirmed in ("a", "b", ""):
        assert choose(B, {KEY: B, GOOD: A}, confirmed=confirmed) == {KEY: B, GOOD: A}
    fresh = config_map({KEY: B})
    assert choose_configuration(fresh, None, confirmed="") == fresh


def test_a_refused_one_is_taken_back_and_held_until_the_stack_changes() -> None:
    back = take_back(config_map({KEY: B, GOOD: A, "other": "x"}), confirmed="a")
    assert back == {KEY: A, REFUSED: B, "other": "x"}
    assert refused_parts(config_map(back)) == []
    del back["other"]
    assert choose(B, back, confirmed="a") == back, "a second pass writes nothing"
    said = {**back, names.COMPLAINT_KEY: "it is bad"}
    assert choose(B, said, confirmed="a") == said
    assert choose(C, said, confirmed="a") == {KEY: C, GOOD: A}
    assert choose(A, back, confirmed="a") == {KEY: A, GOOD: A}
    assert refused_parts(config_map({KEY: C, GOOD: A})) is None


def test_without_another_one_there_is_nothing_to_go_back_to() -> None:
    assert take_back(config_map({KEY: A}), confirmed="") is None
    assert take_back(config_map({KEY: A, GOOD: A}), confirmed="") is None


def test_what_prometheus_has_taken_once_is_never_taken_back() -> None:
    assert take_back(config_map({KEY: B, GOOD: A}), confirmed="b") is None


def test_a_configuration_that_leaves_no_room_is_written_alone() -> None:
    large = B + "#" * 900_000
    assert choose(large, {KEY: A}, confirmed="a") == {KEY: large}


def test_the_parts_that_differ_are_named() -> None:
    before = "global: {a: 1}\nscrape_configs:\n- job_name: x\n- job_name: y\n  path: /a\n"
    after = "global: {a: 2}\nscrape_configs:\n- job_name: y\n  path: /b\n- job_name: z\n"
    assert differing_parts(before, after) == [
        "global",
        "scrape job x",
        "scrape job y",
        "scrape job z",
    ]
    assert differing_parts(before, before) == []


def test_a_pod_that_cannot_read_its_configuration() -> None:
    def pod(code: int, *, ready: bool = False) -> Object:
        state: dict[str, Any] = {"terminated": {"exitCode": code}}
        status = {"ready": ready, "state": {}, "lastState": state}
        return {"status": {"containerStatuses": [status]}}

    assert starts_in_vain([pod(2)])
    assert not starts_in_vain([pod(137), pod(2, ready=True), {}])
