"""The search for the file because of which a server refuses all rules."""

from hypothesis import given
from hypothesis import strategies as st

from firewatch.build.bisection import Bisection, Phase

NAMES = st.sets(st.integers(0, 40).map(str), max_size=30)


def run(search: Bisection, bad: set[str]) -> list[dict[str, str]]:
    """Play a server that refuses all files if a bad text is among them."""
    deliveries = []
    while not search.over:
        files = search.files()
        deliveries.append(files)
        assert len(deliveries) < 200
        if any(text in bad for text in files.values()):
            search.refused()
        else:
            search.loaded()
    return deliveries


@given(NAMES, NAMES, st.data())
def test_the_culprits_are_found_and_all_others_admitted(
    good: set[str], suspects: set[str], data: st.DataObject
) -> None:
    new = {name: f"new {name}" for name in sorted(suspects)}
    if not new:
        return
    culprits = set(data.draw(st.lists(st.sampled_from(sorted(new)), min_size=1, unique=True)))
    old = {name: f"old {name}" for name in sorted(good)}
    search = Bisection.start(old, new)
    run(search, {new[name] for name in culprits})
    assert search.phase is Phase.DONE
    assert set(search.culprits) == culprits
    innocent = {name: text for name, text in new.items() if name not in culprits}
    assert search.files() == old | innocent


def test_a_single_suspect_is_the_culprit_without_a_trial() -> None:
    search = Bisection.start({"a": "1"}, {"b": "2"})
    assert run(search, {"2"}) == [{"a": "1"}, {"a": "1"}]
    assert set(search.culprits) == {"b"}


def test_what_ran_of_a_culprit_before_stays() -> None:
    search = Bisection.start({"a": "old"}, {"a": "bad", "b": "2"})
    run(search, {"bad"})
    assert search.files() == {"a": "old", "b": "2"}


def test_one_of_a_thousand_is_found_in_few_deliveries() -> None:
    new = {f"{n:04}": f"{n}" for n in range(1000)}
    search = Bisection.start({}, new)
    assert len(run(search, {"617"})) <= 32
    assert set(search.culprits) == {"0617"}


def test_what_was_thought_to_be_good_is_suspected_as_well() -> None:
    search = Bisection.start({"a": "bad", "b": "2"}, {"c": "3"})
    run(search, {"bad"})
    assert search.phase is Phase.DONE
    assert set(search.culprits) >= {"a"}
    assert "b" in search.files()


def test_a_server_that_refuses_nothing_at_all_is_not_to_be_helped() -> None:
    search = Bisection.start({"a": "1"}, {"b": "2"})
    while not search.over:
        search.refused()
    assert search.phase is Phase.HOPELESS


def test_each_restore_differs_from_what_the_server_has_loaded_before() -> None:
    search = Bisection.start({"a": "1"}, {"b": "2", "c": "3"})
    assert search.attempt == "-r1"
    search.loaded()
    assert (search.phase, search.attempt) == (Phase.TRYING, "")
    search.refused()
    assert search.attempt == "-r2"
