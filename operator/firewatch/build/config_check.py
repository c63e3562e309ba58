"""The Job by which ``promtool`` says what is wrong with a configuration that Prometheus refuses."""

from firewatch.api.resource import Object
from firewatch.build import names
from firewatch.build.objects import Part, Stack
from firewatch.build.promtool import build_promtool_job

_APPLICATION = "config-check"
_LONGEST = 600


def build_config_check(stack: Stack, refused: str) -> Object:
    """Return the Job for the configuration ``refused``, which stands in the stack's ConfigMap.

    Only its own text is looked at: the files that it names hold credentials, which promtool might
    repeat, and are not there.
    """
    name = names.config_check_name(stack.name, refused)
    return build_promtool_job(
        Part(stack, name, _APPLICATION, names.CHECKS),
        ["check", "config", "--syntax-only", f"{names.CONFIG_DIRECTORY}/{names.REFUSED_KEY}"],
        files=names.prometheus_config_name(stack.name),
        folder=names.CONFIG_DIRECTORY,
    )


def read_complaint(output: str) -> str:
    """Return what promtool has against a configuration, from its output, on one line."""
    _, _, complaint = output.rpartition("FAILED:")
    return " ".join(complaint.split())[:_LONGEST]
