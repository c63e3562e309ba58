"""YAML out and in: user text reaches a configuration file only through a typed emitter."""

from typing import Any

import yaml


def dump_yaml(data: Any) -> str:
    """Return data as YAML, keys in the order in which they were put in, one line per scalar."""
    text: str = yaml.dump(
        data,
        Dumper=yaml.CSafeDumper,
        sort_keys=False,
        allow_unicode=True,
        default_flow_style=False,
        width=1_000_000,
    )
    return text


def load_yaml(text: str) -> Any:
    """Return what a YAML text says."""
    return yaml.load(text, Loader=yaml.CSafeLoader)
