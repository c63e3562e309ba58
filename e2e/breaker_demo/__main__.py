"""`python -m e2e.breaker_demo`: a bad rollout, a failing API, one bad pod, and what becomes of them.

Exit status 0 only if each breaker opened, helped, closed, and left all as it was.
"""

import dataclasses
import json
import sys

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e2e.breaker_demo.run import HALF_OPEN, OPEN, Result, Run, Sample
from e2e.cluster.interface import ClusterError
from e2e.cluster.progress import ConsoleProgress
from e2e.images import PROJECT
from e2e.installation import Values, bring_up, install
from e2e.kubectl import KubectlError, NeverError
from e2e.shop import NAMESPACE, Shop

REPORT = PROJECT / "build" / "demo" / "breaker.json"
_STORIES = {
    "rollback": "A rollout of which every second request fails: the last rollout is undone.",
    "fallback": "Every second request fails, and no rollout is to blame: a light version answers.",
    "isolate": "One pod of four fails: it leaves the Service, and comes back when it is tried.",
}
_STYLES = {OPEN: "red", HALF_OPEN: "yellow"}
_BAR = 40
_BAD = 0.05


class Demo:
    """The demo on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def run(self) -> list[Result]:
        """Bring everything up, play the three runs, and report."""
        REPORT.unlink(missing_ok=True)
        progress = ConsoleProgress(self._console)
        testbed = bring_up(progress)
        with progress.step("Putting away what a former demo has left"):
            testbed.kubectl.delete_namespaces(NAMESPACE)
        granted = {"circuitBreaker": True}
        install(testbed, Values([NAMESPACE], [NAMESPACE], target_options=granted), progress)
        shop = Shop(testbed)
        with progress.step("Applying examples/demo-breaker"):
            shop.set_up()
        results = [self._play(shop, mechanism) for mechanism in _STORIES]
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        report = {each.mechanism: _without_samples(each) for each in results}
        REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        self._summarize(results)
        return results

    def _play(self, shop: Shop, mechanism: str) -> Result:
        self._console.rule(f"[bold]{mechanism}", align="left")
        self._console.print(_STORIES[mechanism])
        self._console.print("     s  errors as a visitor sees them", style="dim")
        return Run(shop, mechanism, self._show).play()

    def _show(self, sample: Sample) -> None:
        """Draw the error ratio of a second, and what the breaker does."""
        ratio = sample.errors or 0.0
        bar = "█" * round(ratio * _BAR) or "·"
        style = _STYLES.get(sample.state, "")
        self._console.print(
            f"{sample.at:6.0f}  [{'red' if ratio > _BAD else 'green'}]{bar:<{_BAR // 2}}[/]"
            f" {ratio:6.1%}  [{style or 'dim'}]{escape(sample.state)}[/]",
            highlight=False,
        )

    def _summarize(self, results: list[Result]) -> None:
        table = Table(box=None, pad_edge=False)
        for name in ("", *(each.mechanism for each in results)):
            table.add_column(name)
        for text, field in (
            ("fires → open, s", "firing_to_open_s"),
            ("errors before", "errors_before"),
            ("errors while open", "errors_open"),
            ("open → half-open, s", "half_open_s"),
            ("open → closed, s", "closed_s"),
            ("all as before", "restored"),
        ):
            table.add_row(text, *(_words(getattr(each, field)) for each in results))
        self._console.rule(align="left")
        self._console.print(table)
        self._console.print(f"Report: {REPORT.relative_to(PROJECT)}", highlight=False)


def _words(value: float | bool) -> str:  # noqa: FBT001 - either is a figure of the table
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.3f}"


def _without_samples(result: Result) -> dict[str, object]:
    found = dataclasses.asdict(result)
    del found["samples"]
    return found


def main() -> None:
    """Run the demo; say what to look at if it fails."""
    console = Console()
    try:
        results = Demo(console).run()
    except (ClusterError, KubectlError, NeverError) as error:
        console.print(f"[red]{escape(str(error))}[/]")
        console.print(f"Look at: kubectl describe aresp -n {NAMESPACE}")
        console.print("         kubectl logs -n firewatch -l app.kubernetes.io/name=firewatch")
        sys.exit(1)
    if failed := [r.mechanism for r in results if not (r.restored and r.errors_open < _BAD)]:
        console.print(f"[red]not helped, or not as before: {', '.join(failed)}[/]")
        sys.exit(1)


if __name__ == "__main__":
    main()
