"""The cancellation policy that a builder offers, and its sentences for clients.

A booking keeps a snapshot of it; ``bookings/policy.py`` says what that refunds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from bookingapp.builders.models import Builder
from bookingapp.core.errors import Invalid
from bookingapp.core.i18n import gettext, ngettext
from bookingapp.core.money import format_percent

WHOLE = 100
MOST_STEPS = 3
MOST_HOURS = 30 * 24


class Step(NamedTuple):
    """A client who cancels at least so many hours before the start gets so many percent back."""

    hours_before: int
    percent: int


USUAL = (Step(24, WHOLE), Step(12, 50))
"""The steps for builders who have chosen nothing."""


def steps_of(builder: Builder) -> Sequence[Step]:
    """The builder's own steps, the longest notice first; else the usual ones. Without a step nothing goes back."""
    if builder.refund_steps is None:
        return USUAL
    return [Step(**step) for step in builder.refund_steps]


def policy_snapshot(builder: Builder) -> dict[str, Any]:
    """The builder's present policy, for a booking to keep."""
    return snapshot_of(steps_of(builder))


def snapshot_of(steps: Sequence[Step]) -> dict[str, Any]:
    """The policy with these steps, as bookings keep it."""
    return {
        "version": 1,
        "client_cancels": [step._asdict() for step in steps],
        "builder_cancels_percent": WHOLE,
    }


def check_steps(steps: Sequence[Step]) -> list[Step]:
    """The steps, the longest notice first. Raises :class:`Invalid` with what the builder has to change."""
    ordered = sorted(steps, key=lambda step: -step.hours_before)
    if not 1 <= len(ordered) <= MOST_STEPS:
        raise Invalid(gettext("Please enter one to three steps."))
    if not all(1 <= step.hours_before <= MOST_HOURS for step in ordered):
        raise Invalid(gettext("Please enter between 1 and %(most)s hours.", most=MOST_HOURS))
    if not all(1 <= step.percent <= WHOLE for step in ordered):
        raise Invalid(gettext("Please enter between 1 and 100 percent."))
    for earlier, later in pairwise(ordered):
        if earlier.hours_before == later.hours_before:
            raise Invalid(
                gettext("Two steps have %(hours)s hours. Please remove one.", hours=later.hours_before)
            )
        if earlier.percent <= later.percent:
            raise Invalid(
                gettext(
                    "Less notice gives less back: at %(hours)s hours please enter less than %(percent)s.",
                    hours=later.hours_before,
                    percent=format_percent(earlier.percent),
                )
            )
    return ordered


def policy_sentences(policy: dict[str, Any], *, is_free: bool = False) -> list[str]:
    """A snapshot in sentences for the client: the only place where they are made."""
    if is_free:
        return [
            gettext(
                "This session is free. If you cannot come, please cancel, so that the time becomes available."
            )
        ]
    steps = sorted((Step(**rule) for rule in policy["client_cancels"]), key=lambda step: -step.hours_before)
    lines = _describe_steps(steps) if steps else [gettext("If you cancel, you get no refund.")]
    if policy["builder_cancels_percent"] == WHOLE:
        lines.append(gettext("If your builder cancels, you get everything back."))
    return lines


def _describe_steps(steps: Sequence[Step]) -> list[str]:
    lines = [_describe_step(step, longer) for step, longer in zip(steps, (None, *steps), strict=False)]
    lines.append(
        ngettext(
            "Cancel less than %(num)s hour before the start: there is no refund.",
            "Cancel less than %(num)s hours before the start: there is no refund.",
            steps[-1].hours_before,
        )
    )
    lines.append(
        gettext(
            "If your builder reschedules, your refund never gets smaller. If you reschedule, it never gets larger."
        )
    )
    return lines


def _describe_step(step: Step, longer: Step | None) -> str:
    if longer is not None:
        return gettext(
            "Cancel %(hours)s to %(upper)s hours before the start: you get %(percent)s of the price back.",
            hours=step.hours_before,
            upper=longer.hours_before,
            percent=format_percent(step.percent),
        )
    if step.percent == WHOLE:
        return ngettext(
            "Cancel at least %(num)s hour before the start: you get the full price back.",
            "Cancel at least %(num)s hours before the start: you get the full price back.",
            step.hours_before,
        )
    return ngettext(
        "Cancel at least %(num)s hour before the start: you get %(percent)s of the price back.",
        "Cancel at least %(num)s hours before the start: you get %(percent)s of the price back.",
        step.hours_before,
        percent=format_percent(step.percent),
    )
