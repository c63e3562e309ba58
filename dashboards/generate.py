"""Write the dashboards' JSON, which the operator's package holds: ``python -m dashboards.generate``.

With ``--check`` nothing is written, and a file that is not what the code says is an error.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from dashboards.boards import BOARDS
from dashboards.parts import build

FOLDER = Path(__file__).parents[1] / "operator" / "firewatch" / "dashboards"


def texts() -> Iterator[tuple[Path, str]]:
    """Yield the files with what they should hold."""
    for board in BOARDS:
        text = json.dumps(build(board), cls=JSONEncoder, indent=1, sort_keys=True)
        yield FOLDER / f"{board.uid}.json", f"{text}\n"


def main() -> None:
    """Write them, and remove what is no dashboard of ours any more."""
    wanted = dict(texts())
    left_over = {*FOLDER.glob("*.json")} - wanted.keys()
    stale = [path for path, text in wanted.items() if not path.exists() or path.read_text() != text]
    if sys.argv[1:] == ["--check"]:
        if found := sorted(path.name for path in (*left_over, *stale)):
            sys.exit(f"stale: {', '.join(found)}; run make dashboards")
        return
    for path in left_over:
        path.unlink()
    for path in stale:
        path.write_text(wanted[path])
    sys.stdout.write(f"{len(wanted)} dashboards, {len(stale)} changed\n")


if __name__ == "__main__":
    main()
