"""Derived names: always valid, never shared by two stacks, the same for ever."""

import re

from hypothesis import given
from hypothesis import strategies as st

from firewatch.build import names

STACKS = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,100}[a-z0-9])?", fullmatch=True)
POLICIES = st.from_regex(r"[a-z0-9]([-a-z0-9.]{0,250}[a-z0-9])?", fullmatch=True)
DNS_LABEL = re.compile(r"[a-z]([-a-z0-9]*[a-z0-9])?")
LABEL_VALUE = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")


def derived(stack: str) -> list[str]:
    return [
        names.prometheus_name(stack),
        names.prometheus_pods_name(stack),
        names.prometheus_config_name(stack),
        names.node_exporter_name(stack),
        names.blackbox_name(stack),
        names.blackbox_config_name(stack),
        names.kube_state_metrics_name(stack),
        names.pushgateway_name(stack),
        names.postgres_exporter_name(stack, "shop"),
        names.custom_exporter_name(stack, "shop"),
        names.custom_exporter_name(stack, "x"),
        names.custom_exporter_name(stack, "a" * 24),
        *(names.rules_name(stack, slot) for slot in range(names.SLOTS)),
    ]


@given(STACKS)
def test_every_name_is_a_dns_label_with_room_for_what_controllers_append(stack: str) -> None:
    for name in derived(stack):
        assert DNS_LABEL.fullmatch(name)
        assert len(name) <= 52
    assert len(set(derived(stack))) == len(derived(stack))


@given(STACKS, STACKS)
def test_two_stacks_share_no_name(one: str, other: str) -> None:
    if one != other:
        assert not set(derived(one)) & set(derived(other))


def test_exporters_of_two_stacks_share_no_name_however_both_are_called() -> None:
    assert names.custom_exporter_name("a", "b-c") != names.custom_exporter_name("a-b", "c")
    assert names.custom_exporter_name("a", "b").startswith("a-b-")


def test_a_plain_name_stays_readable() -> None:
    assert names.prometheus_name("main") == "main-prometheus"
    assert names.rules_name("main", 7) == "main-rules-7"


def test_a_name_that_a_service_cannot_have_gets_a_hash() -> None:
    assert re.fullmatch(r"s-1-shop-[0-9a-f]{8}-prometheus", names.prometheus_name("1.shop"))
    assert names.prometheus_name("a.b") != names.prometheus_name("a-b")


@given(STACKS)
def test_labels_are_valid(stack: str) -> None:
    for value in names.labels(stack, "prometheus", "metrics").values():
        assert LABEL_VALUE.fullmatch(value)
        assert len(value) <= 63


@given(STACKS, st.integers(0, names.SLOTS - 1))
def test_a_slot_is_read_back_from_its_name(stack: str, slot: int) -> None:
    assert names.slot_of_name(stack, names.rules_name(stack, slot)) == slot
    assert names.slot_of_marker(f"/a/b/{names.marker_file(slot)}") == slot
    mine = f"/a/b/{names.marker_file(slot, 'ab12')}"
    assert names.slot_of_marker(mine, "ab12") == slot
    assert names.slot_of_marker(mine) is None
    assert names.slot_of_marker(mine, "cd34") is None


def test_other_names_are_no_slots() -> None:
    for name in ("main-rules", "main-rules-32", "main-rules-07", "other-rules-1", "rules-x"):
        assert names.slot_of_name("main", name) is None
    for path in ("/a/firewatch-marker-07.yml", "/a/firewatch-marker-x.yml", "/a/b.yml"):
        assert names.slot_of_marker(path) is None


@given(POLICIES)
def test_a_policys_file_is_a_short_configmap_key_and_no_marker(policy: str) -> None:
    file = names.policy_file("shop", policy)
    assert re.fullmatch(r"[-._a-zA-Z0-9]{1,60}", file)
    assert names.slot_of_marker(f"/{file}") is None
    assert 0 <= names.policy_slot("shop", policy) < names.SLOTS


def test_a_policys_file_and_slot_never_change() -> None:
    """A new file name would send firing alerts back to pending at an upgrade."""
    assert names.policy_file("monitoring", "freeagentics") == "freeagentics-eab193726b.yml"
    assert names.policy_slot("monitoring", "freeagentics") == 18
