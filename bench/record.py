"""What a measurement was taken on, and where it is written."""

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from e2e.images import PROJECT

FOLDER = PROJECT / "build" / "bench"


def machine() -> dict[str, Any]:
    """Return the machine in a few words, without its name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory / 2**30, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def write(name: str, figures: dict[str, Any]) -> Path:
    """Write figures with machine and date to ``build/bench/<name>.json``; return the path."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    path = FOLDER / f"{name}.json"
    date = datetime.now(UTC).isoformat(timespec="seconds")
    content = {**figures, "date": date, "machine": machine()}
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return path


def quantile(values: list[float], share: float) -> float:
    """Return the value below which a share of the values lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * int(share * 1000) // 1000) - 1)]
