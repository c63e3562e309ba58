"""What the operator's process holds for nothing."""

import subprocess
import sys
from pathlib import Path

OPERATOR = Path(__file__).parents[2] / "operator"


def test_the_synchronous_client_is_not_imported() -> None:
    # As in the operator's image; kopf imports pykube where there is one, and that imports requests.
    code = (
        "import sys; sys.modules['pykube'] = None\n"
        "import firewatch.__main__\n"
        "print(*sorted({'requests', 'oauthlib', 'websocket', 'kubernetes.aio'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={"PYTHONPATH": str(OPERATOR)},
    )
    assert done.stdout == "kubernetes.aio\n"
