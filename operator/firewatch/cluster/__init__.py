"""The only place that talks to Kubernetes."""

import sys
from importlib.util import find_spec, module_from_spec


def _leave_out_synchronous_client() -> None:
    """Let ``kubernetes.aio`` be imported without the synchronous client beside it.

    The package imports both: 230 modules and 7 MiB that are never used (docs/decisions/0019). So it
    is made known here without being run; its parts are found in it all the same.
    """
    spec = find_spec("kubernetes")
    if spec and "kubernetes" not in sys.modules:
        sys.modules["kubernetes"] = module_from_spec(spec)


_leave_out_synchronous_client()
