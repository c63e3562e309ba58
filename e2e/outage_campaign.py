"""Forty API servers that die, one after the other: every watch goes on, and no operator ends.

All connections are lost at once then, and made anew while the server comes and goes. Run by
``make campaign-outage``.
"""

import random
import time

from e2e.installation import Testbed
from e2e.outage import hear_news, kill_api_server, restarts
from e2e.station import Station

_TIMES = 40
_SEED = 1


def test_what_is_new_is_heard_after_each_of_many_outages(
    testbed: Testbed, response_station: Station
) -> None:
    """Each outage, with another pause after it."""
    chance, before, slowest = random.Random(_SEED), restarts(testbed), 0.0
    for number in range(1, _TIMES + 1):
        kill_api_server(testbed)
        # Some watches are back by then, and some wait for their next try.
        time.sleep(chance.uniform(0, 8))
        took = hear_news(response_station)
        slowest = max(slowest, took)
        print(f"{number:3}/{_TIMES}  answered after {took:.1f} s", flush=True)
        assert restarts(testbed) == before
    print(f"{_TIMES} outages; at most {slowest:.1f} s until an answer")
