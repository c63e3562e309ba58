"""Texts that go into Grafana's settings, which it and kubelet look for signs to expand.

A setting is an environment variable: kubelet expands ``$(NAME)`` in it, Grafana ``${NAME}``,
``$__file{…}`` and ``%(name)s``. What these begin with is refused; nothing has to be escaped then.
"""

from typing import Annotated

from pydantic import Field

Plain = Annotated[
    str,
    Field(
        pattern=r"^[^\s\x00-\x1f$%`'\"{}\\]([^\x00-\x1f$%`'\"{}\\]*[^\s\x00-\x1f$%`'\"{}\\])?$",
        max_length=253,
    ),
]
"""A text without ``$``, ``%``, quotes, braces and backslashes."""

WebUrl = Annotated[str, Field(pattern=r"^https?://[^\s\x00-\x1f$`'\"{}()<>\\^|]+$", max_length=512)]
"""An address by HTTP or HTTPS."""
