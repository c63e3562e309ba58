"""When and how what an AutoResponse has changed is put back."""

from enum import StrEnum

from pydantic import Field

from firewatch.api.resource import Duration, Model


class RampDown(Model):
    """How the replicas go back."""

    step: str = Field(default="100%", pattern=r"^([1-9][0-9]?|100)%$", max_length=4)
    """Share of what was added that is taken away at once, rounded up."""
    every: Duration = "60s"
    """Time between two steps."""


class OnSilence(StrEnum):
    """What an alert counts for while Alertmanager mutes it."""

    HOLD = "hold"
    RELEASE = "release"


class Recovery(Model):
    """When and how the target is put back."""

    hold: Duration = "300s"
    """How long the alert must stay resolved first."""
    ramp_down: RampDown = RampDown()
    """How the replicas go back."""
    load_aware: bool = True
    """More replicas lower what each of them carries, so an alert may be resolved only because of
    them. Therefore, where the alert's rule compares something with a number (``… > 0.8``), the
    target goes back only once the present value, times the present replicas and divided by the
    baseline, is below nine tenths of that number. Not where it compares bytes that are held, as of
    memory.
    """
    when: str | None = Field(default=None, min_length=1, max_length=4096)
    """A PromQL expression that says when the target may go back, instead of ``loadAware``: while it
    returns nothing, the target is held. The alert must have resolved all the same.
    """
    on_silence: OnSilence = OnSilence.HOLD
    """What an alert counts for while a silence of Alertmanager mutes it, or another alert inhibits it.
    ``hold``: for what it is, since a silence mutes people and not the load. ``release``: for resolved,
    so that nothing is begun for it, and what was done goes back after ``hold``, whatever the load; an
    alert then counts once Alertmanager has been asked, a moment after it has come in. One that
    Alertmanager does not have yet is waited for, 75 s as a rule. If it does not answer, what newly fires
    counts at once, and what it muted after 75 s. With ``source`` it needs ``source.alertmanager``.
    """
    orphan_after: Duration = "1h"
    """If the alert's rule disappears while the response is active, the replicas are held this long,
    then put back as if the alert had resolved.
    """
