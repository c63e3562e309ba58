"""Where a part of a JSON body stands, as ``status`` or ``checks[0].state``."""

import re
from typing import Annotated

from pydantic import Field

_NAME, _INDEX = r"[a-zA-Z_][a-zA-Z0-9_-]*", r"\[[0-9]{1,4}\]"
JsonPath = Annotated[
    str, Field(pattern=rf"^({_NAME}|{_INDEX})(\.{_NAME}|{_INDEX})*$", max_length=256)
]
"""Names of members and indices of elements, from the outermost on."""

_STEP = re.compile(r"([a-zA-Z_][a-zA-Z0-9_-]*)|\[([0-9]+)\]")


def json_steps(path: str) -> list[str | int]:
    """Return the names and indices of a path, one after the other."""
    return [int(index) if index else name for name, index in _STEP.findall(path)]
