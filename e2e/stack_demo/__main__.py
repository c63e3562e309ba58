"""`python -m e2e.stack_demo`: the whole stack on real pods, with evidence; a journey that fails; what a change renews.

Exit status 0 only if every part is ready and has data, the failing step has raised its alert, and no change
has renewed a pod that need not be.
"""

import json
import sys
from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from e2e.cluster.interface import ClusterError
from e2e.cluster.progress import ConsoleProgress
from e2e.images import PROJECT
from e2e.installation import Values, bring_up, install
from e2e.kubectl import KubectlError, NeverError, Object, wait_for
from e2e.stack_demo.evidence import Row, gather
from e2e.stack_demo.stage import NAMESPACE, STACK, Costs, Stage

REPORT = PROJECT / "build" / "demo" / "stack.json"
_FIRING = 'ALERTS{alertname="JourneyFailing",alertstate="firing",journey="converse"}'
_JOB = {"name": "again", "targets": ["api:8000"]}
_CHECK = {"name": "home", "url": "http://api:8000/", "interval": "2s"}
_PROBE = {"name": "home", "targets": ["http://api:8000/"]}


class Demo:
    """The demo on a console."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = ConsoleProgress(console)

    def run(self) -> bool:
        """Bring everything up, prove each part, and report; tell whether all is as it should be."""
        REPORT.unlink(missing_ok=True)
        testbed = bring_up(self._progress)
        stage = Stage(testbed, self._progress)
        with self._progress.step("Putting away what a former demo has left"):
            testbed.kubectl.delete_namespaces(NAMESPACE)
        granted = {"clusterStacks": {"namespaces": [NAMESPACE]}}
        install(testbed, Values([NAMESPACE], [NAMESPACE], granted), self._progress)
        with self._progress.step("Making the application and the database"):
            stage.set_up()
        with self._progress.step("Applying the stack, and waiting until it is ready"):
            costs = stage.make_stack()
        with self._progress.step("Visiting a page with a real browser"):
            stage.visit()
        with self._progress.step("Looking for data of each part"):
            rows = gather(stage)
        self._show_rows(rows, costs)
        failure = self._fail(stage)
        renewed = self._change(stage)
        self._write(rows, costs, failure, renewed)
        return all(row.ready for row in rows) and all(
            each["renewed"] == each["expected"] for each in renewed
        )

    def _fail(self, stage: Stage) -> Object:
        """Have a step of the journey fail, and return what is said of it."""
        self._console.rule("[bold]a journey that fails", align="left")
        with self._progress.step("Having the application fail, until JourneyFailing fires"):
            stage.fail(1)
            wait_for("JourneyFailing", lambda: stage.station.query(_FIRING), seconds=60)
        alerts = stage.station.prometheus("alerts")["alerts"]
        (alert,) = (a for a in alerts if a["labels"]["alertname"] == "JourneyFailing")
        row = wait_for("the status", lambda: _failing(stage.stack()), seconds=120) or {}
        with self._progress.step("Mending it, until the alert resolves"):
            stage.fail(0)
            wait_for("the end", lambda: not stage.station.query(_FIRING), seconds=60)
        said = alert["annotations"]["description"]
        self._console.print(f"alert:  {said}", highlight=False)
        self._console.print(f"status: {row['message']}", highlight=False)
        return {"alert": said, "status": row["message"]}

    def _change(self, stage: Stage) -> list[dict[str, Any]]:
        """Change the stack step by step, and return which programs each change has renewed."""
        self._console.rule("[bold]what a change renews", align="left")
        spec = stage.stack()["spec"]
        synthetic = spec["synthetic"]
        (journey,) = synthetic["journeys"]
        renewed = []
        for text, patch, expected in (
            (
                "a scrape job",
                {"metrics": {"scrapeJobs": [*spec["metrics"]["scrapeJobs"], _JOB]}},
                [],
            ),
            ("a probe", _synthetic(probes=[*synthetic["probes"], _PROBE]), []),
            ("a journey's alert limit", _synthetic(journeys=[{**journey, "slowAbove": "9s"}]), []),
            (
                "a health check",
                _synthetic(healthChecks=[*synthetic["healthChecks"], _CHECK]),
                ["blackbox-exporter"],
            ),
            (
                "a journey",
                _synthetic(journeys=[journey, {**journey, "name": "again"}]),
                ["journeys"],
            ),
        ):
            found = sorted(stage.change(patch))
            words = ", ".join(found) or "nothing"
            self._console.print(f"{text:<26}{words}", highlight=False)
            renewed.append({"change": text, "renewed": found, "expected": expected})
        return renewed

    def _show_rows(self, rows: list[Row], costs: Costs) -> None:
        table = Table(box=None, pad_edge=False)
        for header in ("component", "version", "ready", "value", "evidence"):
            table.add_column(header, overflow="fold")
        for row in rows:
            ready = "yes" if row.ready else "[red]no[/]"
            table.add_row(row.component, row.version, ready, f"{row.value:g}", escape(row.query))
        self._console.print(table)
        self._console.print(
            f"From its resource to Ready: {costs.seconds:.1f} s, with {costs.reads} reads and"
            f" {costs.writes} writes of the operator.",
            highlight=False,
        )

    def _write(
        self, rows: list[Row], costs: Costs, failure: Object, renewed: list[dict[str, Any]]
    ) -> None:
        report = {
            "components": [asdict(row) for row in rows],
            "apply_to_ready_s": round(costs.seconds, 1),
            "api_calls": {"reads": costs.reads, "writes": costs.writes},
            "failing_journey": failure,
            "changes": renewed,
        }
        REPORT.parent.mkdir(parents=True, exist_ok=True)
        REPORT.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
        self._console.print(f"Report: {REPORT.relative_to(PROJECT)}", highlight=False)


def _synthetic(**lists: list[Object]) -> Object:
    return {"synthetic": lists}


def _failing(stack: Object) -> Object | None:
    rows: list[Object] = stack["status"]["journeys"]
    return next((row for row in rows if row["healthy"] == "False"), None)


def main() -> None:
    """Run the demo; say what to look at if it fails."""
    console = Console()
    try:
        is_well = Demo(console).run()
    except (ClusterError, KubectlError, NeverError) as error:
        console.print(f"[red]{escape(str(error))}[/]")
        console.print(f"Look at: kubectl describe mstack {STACK} -n {NAMESPACE}")
        console.print("         kubectl logs -n firewatch -l app.kubernetes.io/name=firewatch")
        sys.exit(1)
    if not is_well:
        console.print("[red]A part is not ready, or a change has renewed another program.[/]")
        sys.exit(1)


if __name__ == "__main__":
    main()
