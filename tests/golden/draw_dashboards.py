"""Draw the dashboards into docs/dashboards, from what real programs tell in four minutes."""

import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path

from firewatch.build.grafana.bundled import BUNDLED, read_bundled
from firewatch.runbook.preview.draw import draw
from firewatch.runbook.preview.gather import Span, gather_preview
from tests.golden.dashboard_world import running_world

PICTURES = Path(__file__).parents[2] / "docs" / "dashboards"
_SECONDS = 240.0


async def _draw_all() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with running_world(Path(folder), error_ratio=0.05, pause=0.05) as api:
            sys.stdout.write(f"running for {_SECONDS:.0f} s\n")
            await asyncio.sleep(_SECONDS)
            span = Span(time.time(), _SECONDS, 5)
            for uid in BUNDLED:
                content = json.loads(read_bundled(uid))
                found = await gather_preview(api.session, api.url, content, span)
                draw(found, PICTURES / f"{uid}.png")
                sys.stdout.write(f"{uid}.png\n")


if __name__ == "__main__":
    PICTURES.mkdir(exist_ok=True)
    asyncio.run(_draw_all())
