"""What things of the demo are called, as in examples/demo."""

from e2e.images import PROJECT

NAMESPACE = "freeagentics"
STACK = "platform"
POLICY = "runbook"
RESPONSE = "scale-api-on-cpu"
TARGET = "api"
ALERT = "HighCPUUsage"
API_JOB = "freeagentics-api"
LOAD_POD = "load"

EXAMPLES = PROJECT / "examples"
BUILD = PROJECT / "build" / "demo"


class DemoError(Exception):
    """Something did not happen; the message says what, and ``look_at`` where to look."""

    def __init__(self, message: str, *look_at: str) -> None:
        super().__init__(message)
        self.look_at = look_at
