"""The operator's memory and time at import, in a process of its own."""

import json
import statistics
import subprocess
import sys

from bench.record import write

RUNS = 7
_PROGRAM = """
import json, sys, time
sys.modules["pykube"] = None  # kopf would import it, and the operator's image does not have it
started = time.perf_counter()
import firewatch.__main__
seconds = time.perf_counter() - started
with open("/proc/self/status") as status:
    rss = next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
print(json.dumps({"seconds": seconds, "rss_mib": rss / 1024, "modules": len(sys.modules)}))
"""


def main() -> int:
    """Import the operator a few times and write build/bench/import.json."""
    runs = [
        json.loads(subprocess.check_output([sys.executable, "-c", _PROGRAM])) for _ in range(RUNS)
    ]
    figures = {
        "rss_mib": round(statistics.median(run["rss_mib"] for run in runs), 1),
        "seconds": round(statistics.median(run["seconds"] for run in runs), 3),
        "modules": runs[0]["modules"],
        "runs": RUNS,
    }
    print(f"{figures['rss_mib']} MiB, {figures['seconds']} s, in {write('import', figures)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
