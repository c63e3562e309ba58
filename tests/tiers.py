"""Runs the tiers of tests one after another, and says what ran and how long it took.

A tier whose means are missing fails with the reason; none is skipped.
"""

import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

VENV = Path(sys.executable).parent


@dataclass(frozen=True)
class Tier:
    """Commands that prove one thing."""

    name: str
    proves: str
    commands: tuple[tuple[str, ...], ...]


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(VENV / name), *arguments)


def _pytest(*arguments: str) -> tuple[str, ...]:
    return (sys.executable, "-m", "pytest", *arguments)


TIERS = (
    Tier(
        "lint",
        "style, types, import contracts, generated files",
        (
            _tool("ruff", "format", "--check", "--quiet", "."),
            _tool("ruff", "check", "--quiet", "."),
            _tool("mypy"),
            _tool("lint-imports"),
            (sys.executable, "-m", "firewatch.generate", "--check"),
            (sys.executable, "-m", "dashboards.generate", "--check"),
        ),
    ),
    Tier("unit", "pure code, and the tree itself", (_pytest("tests/unit", "tests/layout", "-n2"),)),
    Tier(
        "golden",
        "examples to manifests and configurations, checked by promtool and helm",
        (_pytest("tests/golden"),),
    ),
    Tier(
        "apiserver",
        "a real etcd and kube-apiserver",
        (_pytest("tests/apiserver"),),
    ),
    Tier("e2e", "a real cluster with real pods, installed by the chart", (_pytest("e2e"),)),
)


def main(names: list[str]) -> int:
    """Run the named tiers, or all; return the exit status."""
    unknown = set(names) - {tier.name for tier in TIERS}
    if unknown:
        print(f"no such tier: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    results: list[tuple[Tier, bool, float]] = []
    for tier in TIERS:
        if not names or tier.name in names:
            print(f"\n━━ {tier.name}: {tier.proves}", flush=True)
            started = time.monotonic()
            passed = all(
                subprocess.run(command, check=False).returncode == 0 for command in tier.commands
            )
            results.append((tier, passed, time.monotonic() - started))
    return _summary(results)


def _summary(results: list[tuple[Tier, bool, float]]) -> int:
    print("\n━━ tiers")
    for tier, passed, seconds in results:
        print(
            f"  {'passed' if passed else 'FAILED'}  {tier.name:<10} {seconds:7.1f} s  {tier.proves}"
        )
    failed = sum(not passed for _, passed, _ in results)
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
