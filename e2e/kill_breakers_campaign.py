"""Kill the operator with SIGKILL before and after every write of an episode of a circuit breaker.

Each kill must end as the episode without one: opened, tried and closed once, and all as it was before. Run by
``make campaign-kill-breakers``; with etcd and the API server alone, tests/apiserver/test_breakers.py has a
sample of it.

    python -m e2e.kill_breakers_campaign [--every 5] [flag] [isolate] [fallback] [rollback] [shed]
"""

import argparse
import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from e2e.cluster.progress import ConsoleProgress
from e2e.host_operator import HostOperator
from e2e.installation import Values, bring_up, install
from e2e.killing import FOLDER, Life, run
from e2e.kubectl import Object
from e2e.shop import NAMESPACE, Shop

MECHANISMS = ("flag", "isolate", "fallback", "rollback", "shed")
_EVENTS = ["BreakerOpened", "BreakerHalfOpen", "BreakerClosed"]


@dataclass(frozen=True)
class Campaign:
    """Episodes of one mechanism, with an operator that is killed in them."""

    shop: Shop
    operator: HostOperator
    mechanism: str

    @property
    def name(self) -> str:
        """Return the name of the AutoResponse."""
        return f"break-by-{self.mechanism}"

    def play(self, environment: Mapping[str, str]) -> tuple[int, list[str]]:
        """Have the API fail until its breaker is open, then mend it until that has closed."""
        shop, before = self.shop, self.shop.state()
        # Anew, so that what it has done counts against no limit.
        shop.kubectl.apply(self._response())
        life = Life(self.operator, environment)
        try:
            bad = shop.make_trouble(self.mechanism)
            life.until("the breaker to be open", self._is_in_force)
            shop.mend(bad)
            life.until("the breaker to be over", self._is_over, seconds=120)
        finally:
            life.end()
        violations = [*self._violations(before)]
        shop.kubectl.delete("aresp", self.name, shop.namespace)
        shop.wait_calm()
        return life.deaths, violations

    def _response(self) -> Object:
        found = self.shop.response(self.mechanism)
        breaker = found["spec"]["actions"][0]["circuitBreaker"]
        breaker |= {"openFor": "3s", "tryFor": "2s"}
        # The alert's window outlives such an episode.
        found["spec"]["rails"] = {"cooldown": "1m"}
        return found

    def _is_in_force(self) -> bool:
        breaker = self.shop.status(self.name).get("breaker", {})
        return bool(breaker.get("inForce")) or "BreakerClosed" in self.shop.history(self.name)

    def _is_over(self) -> bool:
        found = self.shop.kubectl.get("aresp", self.name, self.shop.namespace)
        assert found is not None
        owes = "breaker" in found["status"] or found["metadata"].get("finalizers")
        return not owes and "BreakerClosed" in self.shop.history(self.name)

    def _violations(self, before: Object) -> Iterator[str]:
        history = [each for each in self.shop.entries(self.name) if not _is_too_early(each)]
        if [each["event"] for each in history] != _EVENTS:
            yield f"the history says {[(each['event'], each['message']) for each in history]}"
        self.shop.wait_rolled_out()
        if (after := self.shop.state()) != before:
            yield f"in the end there is {after}"


def _is_too_early(entry: Object) -> bool:
    """Tell whether a breaker was refused since pods of a rollout had hardly answered anything yet.

    An alert may fire by the errors of the very first; it is looked again, and the breaker opens then.
    """
    return entry["event"] == "BreakerRefused" and "too few to tell" in entry["message"]


def main() -> int:
    """Run the campaign and write build/campaign/kill-breakers.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take one in so many kill points")
    parser.add_argument("mechanisms", nargs="*", help=f"of {', '.join(MECHANISMS)}; all if none")
    options = parser.parse_args()
    chosen = options.mechanisms or [*MECHANISMS]
    if unknown := {*chosen} - {*MECHANISMS}:
        parser.error(f"no such mechanism here: {', '.join(sorted(unknown))}")
    progress = ConsoleProgress()
    testbed = bring_up(progress)
    granted = {"circuitBreaker": True}
    install(testbed, Values([NAMESPACE], [NAMESPACE], target_options=granted), progress)
    shop = Shop(testbed)
    shop.set_up()
    operator = HostOperator(testbed, FOLDER, NAMESPACE)
    with operator.instead():
        reports = {
            mechanism: run(
                mechanism, operator, Campaign(shop, operator, mechanism).play, options.every
            )
            for mechanism in chosen
        }
    (FOLDER / "kill-breakers.json").write_text(json.dumps(reports, indent=2), encoding="utf-8")
    return 1 if any(report["violations"] for report in reports.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
