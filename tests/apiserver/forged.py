"""The campaign: a hundred thousand forged and broken posts; nothing may come of them.

``python -m tests.apiserver.forged``; a test sends some thousand of the same. The seed is printed.
"""

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from bench.record import machine
from e2e.cluster.controlplane import ControlPlane
from e2e.cluster.progress import ConsoleProgress
from tests.apiserver.bombarding import MOST_GROWTH, TARGETS, bombard, dawdle, prove_alive
from tests.apiserver.deployed import ROOT
from tests.apiserver.posting import by_webhook, posting_site, scalings

FOLDER = ROOT / "build" / "campaign"


def main() -> int:
    """Run the campaign and write build/campaign/forged.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--posts", type=int, default=100_000)
    parser.add_argument("--slow", type=int, default=500)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with (
        tempfile.TemporaryDirectory() as name,
        ControlPlane.prepare(Path(name), ConsoleProgress()) as control_plane,
        posting_site(Path(name), control_plane, targets=TARGETS, rails={}) as site,
    ):
        by_webhook(site, "target-1")
        audit, began = site.audit(), time.monotonic()
        outcome = asyncio.run(bombard(site, options.posts, options.seed))
        slowness = asyncio.run(dawdle(site, options.slow, 10))
        seconds = time.monotonic() - began
        actions = len(scalings(audit))
        asyncio.run(prove_alive(site))
    is_flat = outcome.growth_mib <= MOST_GROWTH
    report = {
        "posts": options.posts,
        "seed": options.seed,
        "seconds": round(seconds, 1),
        "actions": actions,
        "wrong": outcome.wrong,
        "unavailable": outcome.unavailable,
        "answers": outcome.table(),
        "rss_mib": outcome.rss_mib,
        "rss_growth_mib": round(outcome.growth_mib, 1),
        "slow_connections": options.slow,
        "slow_answers": {str(status): count for status, count in slowness.answers.items()},
        "longest_other_s": round(slowness.longest_other, 3),
        "machine": machine(),
    }
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "forged.json").write_text(json.dumps(report, indent=2), encoding="utf-8")
    print(*outcome.table(), *outcome.wrong, sep="\n")
    print(
        f"{options.posts} posts, {actions} actions, {len(outcome.wrong)} wrong answers,"
        f" {outcome.unavailable} times unavailable, memory grew by {report['rss_growth_mib']} MiB, in {FOLDER / 'forged.json'}"
    )
    return 0 if is_flat and not (actions or outcome.wrong) else 1


if __name__ == "__main__":
    sys.exit(main())
