"""What people read about their data: how long it is kept, and what is in the way of erasing it."""

from __future__ import annotations

from collections.abc import Mapping

from bookingapp.core.i18n import N_, gettext, ngettext
from bookingapp.privacy.erasure import Obstacle

DAYS_OF_YEAR = 365

_OBSTACLES: Mapping[Obstacle, str] = {
    Obstacle.OPEN: N_("This booking is still open. Cancel it first, or wait until the session is over."),
    Obstacle.PAYMENT: N_("A payment for it is under way. Please wait until it has arrived or ended."),
    Obstacle.REFUND: N_("A refund for it is on its way to you. Please wait until you have it."),
    Obstacle.DISPUTE: N_(
        "You have disputed its payment with your bank. Please wait for the bank's decision."
    ),
    Obstacle.ATTENDANCE: N_("It is not decided yet who came to the session. Please wait for our decision."),
}


def kept_for(days: int) -> str:
    """``365`` as ``1 year``, ``90`` as ``90 days``."""
    years, rest = divmod(days, DAYS_OF_YEAR)
    if not rest:
        return ngettext("%(num)s year", "%(num)s years", years)
    return ngettext("%(num)s day", "%(num)s days", days)


def obstacle_sentence(obstacle: Obstacle) -> str:
    """Why a booking cannot be erased yet, and what to do."""
    return gettext(_OBSTACLES[obstacle])
