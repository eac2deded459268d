"""What the checks of ``flask doctor`` get and what they yield. The checks are in ``doctor`` and ``arrivals``."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import NamedTuple

from sqlalchemy.orm import Session

from bookingapp.core.settings import Settings
from bookingapp.integrations.calendly import CalendlyClient
from bookingapp.integrations.stripe_gateway import StripeGateway
from bookingapp.notifications.transport import MailTransport
from bookingapp.webhooks.handlers import Context


class Level(enum.StrEnum):
    """How a finding is. Only what is ``bad`` keeps clients from booking, paying or being told."""

    GOOD = "good"
    CHECK = "check"  # It may be meant so.
    BAD = "bad"


class Finding(NamedTuple):
    """What was checked, how it is, and in words what is so and what to do."""

    topic: str
    level: Level
    words: str


@dataclass(frozen=True)
class Patient:
    """The installation that is looked at."""

    settings: Settings
    session: Session
    calendly: CalendlyClient
    stripe: StripeGateway
    context: Context
    mail: MailTransport
