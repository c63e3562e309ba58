"""The form in which policies are held: nothing that is asked for is lost, and equal parts are one."""

import copy

from hypothesis import given
from hypothesis import strategies as st

from firewatch.api.resource import Object
from firewatch.reconcile.slim import Slimmer, pack_groups, unpack_groups, without_groups

WORDS = st.sampled_from(["Ready", "Loaded", "True", "False", "the rules are written"])
CONDITIONS = st.lists(
    st.fixed_dictionaries(
        {"type": WORDS, "status": WORDS, "message": WORDS, "observedGeneration": st.integers(1, 3)}
    )
)
POLICIES = st.fixed_dictionaries(
    {"metadata": st.fixed_dictionaries({"uid": st.uuids().map(str)})},
    optional={
        "spec": st.fixed_dictionaries(
            {}, optional={"groups": st.lists(st.dictionaries(WORDS, WORDS)), "stackRef": WORDS}
        ),
        "status": st.fixed_dictionaries({}, optional={"conditions": CONDITIONS, "stack": WORDS}),
    },
)


@given(st.lists(POLICIES))
def test_a_slim_policy_is_the_policy_without_its_groups(policies: list[Object]) -> None:
    slimmer, before = Slimmer(), copy.deepcopy(policies)
    slim = [slimmer.slim(policy) for policy in policies]
    assert slim == [without_groups(policy) for policy in before]
    assert policies == before
    known: dict[str, Object] = {}
    for policy in slim:
        for condition in policy.get("status", {}).get("conditions", ()):
            assert known.setdefault(repr(condition), condition) is condition


@given(POLICIES)
def test_packed_groups_come_back(policy: Object) -> None:
    if "spec" in policy:
        assert unpack_groups(without_groups(policy), pack_groups(policy)) == policy
