"""Some thousand forged and broken posts to a receiver that really listens: nothing comes of them.

``make campaign-forged`` sends a hundred thousand.
"""

import os
import time
from collections.abc import Iterator

import pytest

from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from tests.apiserver.bombarding import MOST_GROWTH, TARGETS, bombard, dawdle, prove_alive
from tests.apiserver.forgeries import CLOSED, Forger
from tests.apiserver.posting import Site, by_webhook, posting_site, scalings

POSTS = 3000
SLOW = 60


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("forged")
    with (
        ControlPlane.prepare(folder, ConsoleProgress()) as control_plane,
        posting_site(folder, control_plane, targets=TARGETS, rails={}) as site,
    ):
        by_webhook(site, "target-1")
        yield site


async def test_nothing_comes_of_what_is_forged_and_the_genuine_is_still_heard(site: Site) -> None:
    seed = int(os.environ.get("FIREWATCH_TEST_SEED", time.time_ns()))
    print(f"FIREWATCH_TEST_SEED={seed}")
    audit = site.audit()
    outcome = await bombard(site, POSTS, seed)
    print(*outcome.table(), sep="\n")
    assert outcome.wrong == []
    assert "Error handling request" not in site.operator.said(), "it is no failure of ours"
    assert scalings(audit) == []
    assert {*site.replicas().values()} == {2}
    assert outcome.growth_mib <= MOST_GROWTH, outcome.rss_mib
    slowness = await dawdle(site, SLOW, 8)
    assert {*slowness.answers} <= {CLOSED, 400, 408}
    assert slowness.answers[400] == SLOW // 2, "a body must come within 5 s"
    assert slowness.longest_other < 2
    assert scalings(audit) == []
    await prove_alive(site)
    assert sorted(call.name for call in scalings(audit)) == ["target-0", "target-1"]


def test_a_seed_makes_the_same_posts() -> None:
    first, second, third = (list(Forger("a.b.c", seed).posts(200)) for seed in (1, 1, 2))
    assert [post.kind for post in first] == [post.kind for post in second]
    assert [post.kind for post in first] != [post.kind for post in third]
    assert len({post.kind for post in first}) > 12
