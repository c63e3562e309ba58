"""An alert of a pack."""

from dataclasses import dataclass

from firewatch.api.resource import Object
from firewatch.api.thresholds import Severity

CRITICAL, WARNING = Severity.CRITICAL, Severity.WARNING


@dataclass(frozen=True)
class Alert:
    """An alerting rule; its page is docs/runbooks/NAME.md."""

    name: str
    expression: str
    hold: str
    """The rule's ``for``; ``0s`` for none."""
    severity: Severity
    summary: str
    """What is the matter, in a sentence that may name labels."""
    description: str
    """How much it is, and what it leads to."""

    def rule(self, pack: str, runbook_url: str | None) -> Object:
        """Return the rule as Prometheus reads it."""
        page = {"runbook_url": f"{runbook_url.rstrip('/')}/{self.name}"} if runbook_url else {}
        return {
            "alert": self.name,
            "expr": self.expression,
            **({} if self.hold == "0s" else {"for": self.hold}),
            "labels": {"severity": self.severity.value, "pack": pack},
            "annotations": {
                "summary": self.summary,
                "description": self.description,
                **(page or {"runbook": f"docs/runbooks/{self.name}.md"}),
            },
        }
