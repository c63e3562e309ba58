"""Rights that are granted and that no test has used: ``python -m e2e.rights`` prints the last list.

What is granted is read from the bindings and roles of the running cluster, what was used from the
API server's audit log. The last test of the e2e tier makes the list and keeps it, since the cluster
may be gone afterwards.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from e2e.images import PROJECT
from e2e.installation import RELEASE
from e2e.kubectl import Object

ACCOUNTS = (RELEASE, "firewatch-prometheus", "firewatch-kube-state-metrics")
"""ServiceAccounts, in whatever namespace, that the chart or the operator gives rights to."""

REPORT = PROJECT / "build" / "e2e" / "rights.json"

_CREATED = 201
_RBAC = "rbac.authorization.k8s.io"


@dataclass(frozen=True, order=True)
class Right:
    """One verb that an account may use on one resource."""

    account: str
    verb: str
    resource: str
    """With group and subresource, for example ``apps/deployments/scale``."""
    name: str = ""
    """The one object that it is limited to; empty if it is not."""

    def __str__(self) -> str:
        return f"{self.account}: {self.verb} {self.resource} {self.name}".rstrip()


_MESH = "no service mesh is on the test cluster; tests/apiserver/test_breaker_mesh.py uses it"
_OTHERS = (
    "neither Argo Rollouts nor KEDA is on the test cluster; tests/apiserver/test_owners.py uses it"
)
_GATEWAYS = "the Gateway API is not on the test cluster; tests/apiserver/test_network.py uses it"
EXCEPTIONS: Mapping[Right, str] = {
    **{
        Right(RELEASE, verb, "gateway.networking.k8s.io/httproutes"): _GATEWAYS
        for verb in ("get", "list", "create", "patch", "delete")
    },
    Right(RELEASE, "bind", f"{_RBAC}/clusterroles", "firewatch-prometheus"): (
        "the API server asks for it when a RoleBinding is written, and logs only that write"
    ),
    Right(RELEASE, "delete", "pods"): (
        "for a pod that holds up a rollout, which Kubernetes 1.36 replaces by itself, or that is left"
        " without an owner, which tests/apiserver/test_operations.py shows"
    ),
    Right(RELEASE, "get", "argoproj.io/rollouts"): _OTHERS,
    Right(RELEASE, "patch", "argoproj.io/rollouts/scale"): _OTHERS,
    Right(RELEASE, "patch", "keda.sh/scaledobjects"): _OTHERS,
    Right(RELEASE, "create", "networking.istio.io/destinationrules"): _MESH,
    Right(RELEASE, "delete", "networking.istio.io/destinationrules"): _MESH,
    Right(RELEASE, "list", "networking.istio.io/destinationrules"): _MESH,
    Right(RELEASE, "list", "linkerd.io/serviceprofiles"): _MESH,
    Right("firewatch-prometheus", "get", "nodes/metrics"): (
        "kubelets ask for it at each scrape, in requests of their own"
    ),
}
"""Rights whose use the audit log need not show, each with the reason."""


@dataclass(frozen=True)
class Findings:
    """What is granted without need, and what the table above says without need."""

    granted: int
    unused: Sequence[str]
    excepted: Mapping[str, str]
    """Granted, unused, and listed with a reason."""
    stale: Sequence[str]
    """Listed although not granted any more."""

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing is granted or listed without need."""
        return not self.unused and not self.stale


def granted_rights(roles: Iterable[Object], bindings: Iterable[Object]) -> frozenset[Right]:
    """Return what the accounts are granted by roles that are bound to them."""
    rules = {_identity(role): role.get("rules") or () for role in roles}
    return frozenset(
        right
        for binding in bindings
        for account in _accounts(binding)
        for rule in rules.get(_bound(binding), ())
        for right in _rights(account, rule)
    )


def _identity(role: Object) -> tuple[str, str, str]:
    metadata = role["metadata"]
    return role["kind"], metadata.get("namespace", ""), metadata["name"]


def _bound(binding: Object) -> tuple[str, str, str]:
    reference = binding["roleRef"]
    is_local = reference["kind"] == "Role"
    namespace = binding["metadata"]["namespace"] if is_local else ""
    return reference["kind"], namespace, reference["name"]


def _accounts(binding: Object) -> Iterator[str]:
    for subject in binding.get("subjects") or ():
        if subject["kind"] == "ServiceAccount" and subject["name"] in ACCOUNTS:
            yield subject["name"]


def _rights(account: str, rule: Object) -> Iterator[Right]:
    resources = [
        f"{group}/{resource}".removeprefix("/")
        for group in rule.get("apiGroups") or ()
        for resource in rule.get("resources") or ()
    ]
    for resource in [*resources, *(rule.get("nonResourceURLs") or ())]:
        for verb in rule["verbs"]:
            for name in rule.get("resourceNames") or ("",):
                yield Right(account, verb, resource, name)


def used_rights(events: Iterable[Mapping[str, Any]]) -> frozenset[Right]:
    """Return what the accounts have been allowed, each with and without the object's name."""
    return frozenset(right for event in events for right in _uses(event))


def _uses(event: Mapping[str, Any]) -> Iterator[Right]:
    account = event["user"].get("username", "").rpartition(":")[2]
    decision = event.get("annotations", {}).get("authorization.k8s.io/decision")
    if account not in ACCOUNTS or decision != "allow":
        return
    reference = event.get("objectRef")
    if reference is None:
        yield Right(account, event["verb"], event["requestURI"].partition("?")[0])
        return
    parts = (reference.get(part, "") for part in ("apiGroup", "resource", "subresource"))
    resource = "/".join(filter(None, parts))
    for verb in _verbs(event):
        for name in {"", reference.get("name", "")}:
            yield Right(account, verb, resource, name)


def _verbs(event: Mapping[str, Any]) -> list[str]:
    """Return the verb of a request, and the one that it stands for as well."""
    verb: str = event["verb"]
    # An apply of an object that is not there yet needs both.
    if verb == "patch" and event.get("responseStatus", {}).get("code") == _CREATED:
        return [verb, "create"]
    # The same client lists first where the API server is too old to begin a watch with all objects.
    if verb == "watch" and "sendInitialEvents=true" in event.get("requestURI", ""):
        return [verb, "list"]
    return [verb]


def judge(
    granted: frozenset[Right], used: frozenset[Right], exceptions: Mapping[Right, str]
) -> Findings:
    """Compare what is granted with what was used."""
    idle = granted - used
    return Findings(
        granted=len(granted),
        unused=[str(right) for right in sorted(idle - exceptions.keys())],
        excepted={str(right): exceptions[right] for right in sorted(idle & exceptions.keys())},
        stale=[str(right) for right in sorted(exceptions.keys() - granted)],
    )


def write_report(findings: Findings, path: Path = REPORT) -> None:
    """Keep the list for ``make rights-unused``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(findings), indent=2) + "\n", encoding="utf-8")


def render(findings: Findings) -> str:
    """Return the list as text."""
    lines = [f"{findings.granted} rights are granted, {len(findings.unused)} of them without need"]
    lines += [f"  unused   {right}" for right in findings.unused]
    lines += [f"  listed   {right}: {reason}" for right, reason in findings.excepted.items()]
    lines += [f"  stale    {right} is listed and is not granted" for right in findings.stale]
    return "\n".join(lines)


def main() -> int:
    """Print the last list; fail if it names anything that is not listed with a reason."""
    if not REPORT.exists():
        print("there is no list yet: `make test-e2e` makes it")
        return 2
    findings = Findings(**json.loads(REPORT.read_text(encoding="utf-8")))
    print(render(findings))
    return 0 if findings.is_clean else 1


if __name__ == "__main__":
    sys.exit(main())
