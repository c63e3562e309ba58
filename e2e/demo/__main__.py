"""`python -m e2e.demo`: the whole way from nothing to the report.

Exit status 0 only if every step happened; otherwise it is said what did not, and where to look.
"""

import shlex
import sys
from collections.abc import Sequence

from rich.console import Console
from rich.syntax import Syntax
from rich.table import Table

from e2e.audit import AuditLog
from e2e.cluster.given import HOST_ADDRESS
from e2e.cluster.interface import Cluster, ClusterError
from e2e.cluster.progress import ConsoleProgress
from e2e.demo.api import Api, Prometheus, proxy
from e2e.demo.episode import Episode, Outcome
from e2e.demo.families import prove_families
from e2e.demo.load import Load
from e2e.demo.messages import Delivery, read_deliveries
from e2e.demo.names import ALERT, BUILD, NAMESPACE, RESPONSE, STACK, TARGET, DemoError
from e2e.demo.quiet import measure_idle_cpu
from e2e.demo.report import (
    REPORT,
    Figures,
    Patches,
    build_report,
    calculate,
    read_firing,
    read_patches,
    read_ready,
    write_report,
)
from e2e.demo.screen import Screen, Story
from e2e.demo.stage import OVERLAY, Stage
from e2e.demo.watching import Watcher
from e2e.images import PROJECT
from e2e.installation import Values, bring_up, install
from e2e.kubectl import KubectlError
from e2e.messages import record

_PICTURE = BUILD / "timeline.svg"


class Demo:
    """The demo on one screen."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._progress = ConsoleProgress(console)

    def run(self) -> None:
        """Bring everything up, play the episode, report."""
        for path in (REPORT, _PICTURE):
            path.unlink(missing_ok=True)
        testbed = bring_up(self._progress)
        alertmanager = testbed.image("alertmanager", self._progress)
        install(testbed, Values([NAMESPACE], [NAMESPACE]), self._progress)
        address = _require_address(testbed.cluster)
        with proxy(testbed.kubectl) as api, record(address) as recorder:
            load = Load(api, testbed.kubectl)
            self._set_up(Stage(testbed, recorder, alertmanager), api, load)
            self._play(testbed.cluster, Watcher(api, recorder), load)
        self._say_what_next(testbed.cluster)

    def _set_up(self, stage: Stage, api: Api, load: Load) -> None:
        with self._progress.step("Putting away what a former demo has left"):
            stage.clear(load)
        with self._progress.step("Measuring the idle node's CPU"):
            idle = measure_idle_cpu(api)
        self._console.print(f"The node is idle enough: {idle:.0f} % busy.", highlight=False)
        self._show_overlay()
        with self._progress.step("Applying examples/demo with these durations"):
            stage.apply()
        with self._progress.step("Waiting until stack, policy and response are Ready"):
            stage.wait_until_ready()
        with self._progress.step("Starting the pod of the load, which does nothing yet"):
            load.prepare(stage.testbed.images.example_app)
        self._show_families(Prometheus(api))

    def _play(self, cluster: Cluster, watcher: Watcher, load: Load) -> None:
        audit = AuditLog(cluster) if cluster.audit_log else None
        title = f"Firewatch on Kubernetes {cluster.version} ({cluster.backend})"
        screen = Screen(self._console, Story(title, watcher.rule.threshold))
        with screen.open():
            outcome = Episode(watcher, screen, load).play()
        screen.save(_PICTURE)
        firing = read_firing(watcher.prometheus, watcher.rule.interval)
        patches = read_patches(audit, watcher, since=firing.fired)
        ready = read_ready(audit, patches.first, outcome.ready_at)
        figures = calculate(firing, patches, ready)
        deliveries = read_deliveries(watcher.recorder, firing.fired)
        write_report(build_report(figures, outcome, deliveries, cluster))
        self._show_figures(figures, outcome, patches)
        self._show_deliveries(deliveries)
        if not outcome.before == outcome.after < outcome.peak == outcome.wanted:
            raise DemoError(
                f"{TARGET} had {outcome.before} replicas, {outcome.peak} at the peak,"
                f" {outcome.after} afterwards, and the operator asked for {outcome.wanted}.",
                f"kubectl describe aresp {RESPONSE} -n {NAMESPACE}",
            )

    def _show_overlay(self) -> None:
        self._console.print(
            f"\nDurations are shortened by {OVERLAY.relative_to(PROJECT)}:", highlight=False
        )
        text = OVERLAY.read_text(encoding="utf-8")
        patches = text[text.index("patches:") :]
        if self._console.is_terminal:
            syntax = Syntax(patches, "yaml", theme="ansi_dark", background_color="default")
            self._console.print(syntax, soft_wrap=True)
        else:
            print(patches)

    def _show_families(self, prometheus: Prometheus) -> None:
        table = Table(box=None, pad_edge=False)
        for header in ("metric family", "type", "labels", "series"):
            table.add_column(header, no_wrap=header != "labels", overflow="fold")
        with self._progress.step("Asking Prometheus for the runbook's API metric families"):
            for proof in prove_families(prometheus):
                family = proof.family
                labels = ", ".join(sorted(family.labels))
                table.add_row(family.name, family.type, labels, str(proof.series))
        self._console.print(table)

    def _show_figures(self, figures: Figures, outcome: Outcome, patches: Patches) -> None:
        table = Table(box=None, show_header=False, pad_edge=False)
        for text, value in (
            (f"CPU above the threshold → {ALERT} fires", figures.threshold_to_firing_s),
            (f"{ALERT} fires → replicas patched", figures.firing_to_patched_s),
            ("replicas patched → all ready", figures.patched_to_ready_s),
            (f"{ALERT} resolved → replicas put back", figures.restored_after_resolve_s),
        ):
            table.add_row(text, f"{value:8.3f} s")
        replicas = f"{outcome.before} → {outcome.peak} → {outcome.after}"
        table.add_row(f"replicas of {TARGET}", replicas)
        self._console.print(table)
        self._console.print(
            f"Patches are timed by {patches.source}.\n"
            f"Report: {REPORT.relative_to(PROJECT)}   picture: {_PICTURE.relative_to(PROJECT)}",
            highlight=False,
        )

    def _show_deliveries(self, deliveries: Sequence[Delivery]) -> None:
        table = Table(box=None, pad_edge=False)
        for header in ("message by", "after firing", "what it says"):
            table.add_column(header, overflow="fold")
        for each in deliveries:
            table.add_row(each.channel, f"{each.after_firing_s:.3f} s", each.told)
        self._console.print(table)

    def _say_what_next(self, cluster: Cluster) -> None:
        print("\nThe cluster is still up. To look around:\n")
        _print_access(cluster)
        print(f"  kubectl get mstack,apol,aresp -n {NAMESPACE}")
        print(f"  kubectl describe aresp {RESPONSE} -n {NAMESPACE}")
        print(f"  kubectl port-forward -n {NAMESPACE} svc/{STACK}-prometheus 9090")
        print("    and then http://localhost:9090/alerts in a browser")
        if cluster.backend == "given":
            print("\nTo remove what the demo has made:\n")
            print(f"  helm uninstall firewatch -n firewatch; kubectl delete namespace {NAMESPACE}")
        else:
            print("\nTo remove it: make cluster-down")


def _require_address(cluster: Cluster) -> str:
    if cluster.host_address is None:
        raise DemoError(
            "The demo shows messages that arrive on this machine, and no address is known at which "
            f"the cluster's pods reach it. Name it in {HOST_ADDRESS}.",
        )
    return cluster.host_address


def _print_access(cluster: Cluster) -> None:
    print(f"  export KUBECONFIG={shlex.quote(str(cluster.kubeconfig))}")
    print(f"  export PATH={shlex.quote(str(cluster.tools))}:$PATH")


def main() -> int:
    """Run the demo; return the exit status."""
    console = Console(highlight=False)
    try:
        Demo(console).run()
    except DemoError as error:
        _fail(str(error), error.look_at)
    except (ClusterError, KubectlError, RuntimeError, OSError) as error:
        _fail(str(error), ("make cluster-status",))
    except KeyboardInterrupt:
        _fail("interrupted; `make demo` starts again", ())
        return 130
    else:
        return 0
    return 1


def _fail(message: str, look_at: tuple[str, ...]) -> None:
    print(f"\nThe demo has failed: {message}", file=sys.stderr)
    if look_at:
        print("\nLook at (`make cluster-status` says which KUBECONFIG to export):", file=sys.stderr)
    for hint in look_at:
        print(f"  {hint}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
