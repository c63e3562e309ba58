"""Settings from the environment: what is wrong is named."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firewatch.cluster.kinds import DEPLOYMENT, ROLLOUT, Kind, target_kind
from firewatch.settings import EXTRA_KINDS, ExtraKind, parse_extra_kinds, parse_settings

FARM = {"group": "example.org", "version": "v1beta1", "kind": "Farm", "resource": "farms"}


def test_further_kinds_are_read_and_the_version_may_be_left_out() -> None:
    entries = [FARM, {"group": "", "kind": "Pool", "resource": "pools"}]
    assert parse_extra_kinds(json.dumps(entries)) == (
        ExtraKind("example.org", "v1beta1", "Farm", "farms"),
        ExtraKind("", "v1", "Pool", "pools"),
    )
    assert parse_extra_kinds("") == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[", "is not JSON"),
        ("{}", "expected a list"),
        ("[1]", "1 has no group"),
        (json.dumps([{**FARM, "kind": "farm"}]), "has no kind"),
        (json.dumps([{**FARM, "resource": "farms/scale"}]), "has no resource"),
        (json.dumps([{**FARM, "group": "a/b"}]), "has no group"),
        (json.dumps([FARM, {**FARM, "group": "b"}]), "Farm stands there twice"),
    ],
)
def test_what_is_wrong_with_them_is_said(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_extra_kinds(text)


@given(
    st.text(max_size=40) | st.recursive(st.none() | st.text(max_size=5), st.lists).map(json.dumps)
)
def test_whatever_stands_there_it_is_read_or_refused(text: str) -> None:
    try:
        found = parse_extra_kinds(text)
    except ValueError as error:
        assert str(error).startswith(EXTRA_KINDS)  # noqa: PT017
    else:
        assert isinstance(found, tuple)


def test_a_kind_is_found_by_its_name_and_ours_win() -> None:
    imposter = {"group": "example.org", "kind": "Rollout", "resource": "rolls"}
    settings = parse_settings({EXTRA_KINDS: json.dumps([FARM, imposter])})
    assert target_kind(settings, "Farm") == Kind("example.org/v1beta1", "Farm", "farms")
    assert target_kind(settings, "Deployment") == DEPLOYMENT
    assert target_kind(settings, "Rollout") == ROLLOUT
    assert target_kind(settings, "Pool") is None
