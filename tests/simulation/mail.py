"""Where mail arrives, and what is remembered of it."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from email.message import EmailMessage

from bookingapp.bookings.mail_triggers import ABOUT_ATTENDANCE, Mail
from bookingapp.bookings.reminders import BEFORE, MAILS
from tests.simulation.machines import Machines

# The latest that each may say that the session starts.
REMINDERS = {mail: BEFORE[step] for step, mails in MAILS.items() for mail in mails}

# Once for each new time, and once for each payment.
# A builder gets a mail for each refund made in Stripe's dashboard.
SEVERAL = {
    # A claim may be withdrawn and made again.
    *ABOUT_ATTENDANCE,
    *REMINDERS,
    Mail.MOVED_CLIENT,
    Mail.PLACE_CLIENT,
    Mail.MOVED_BUILDER,
    Mail.PAYMENT_RETURNED,
    Mail.AMOUNT_REFUNDED,
    Mail.PAYMENT_RELEASED,
    Mail.TIME_GONE,
    Mail.REFUNDED_OUTSIDE_BUILDER,
    Mail.REFUND_WAITS,
    Mail.REFUND_REFUSED_BUILDER,
    Mail.REFUND_FAILED,
    Mail.REFUND_FAILED_BUILDER,
}


class Mailbox:
    """A transport that delivers everything. Its sender may be killed right after."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._sent: Counter[str] = Counter()
        self._kinds: dict[tuple[str, str, str], set[str]] = defaultdict(set)
        self._lies: list[str] = []
        # By a mail's kind and title: what it says that is not true at this moment, if anything.
        self.untrue: Callable[[str, str], str | None] = lambda _kind, _title: None

    def check(self) -> None:
        """It is always there."""

    def send(self, message: EmailMessage) -> None:
        self._machines.before_call()
        name, subject = str(message["Message-ID"]).strip("<>"), str(message["Subject"])
        kind = name.split(".", 1)[0]
        # Every booking in the simulation has a title of its own, which its mails name.
        title = re.search(r"Session \d+", subject)
        about = title[0] if title else subject
        self._sent[name] += 1
        # A client with two addresses gets each mail at both.
        self._kinds[kind, about, str(message["To"])].add(name)
        lie = self.untrue(kind, about)
        if lie is not None:
            self._lies.append(f"{kind} about {about} says {lie}")
        self._machines.world.note("mail", f"{kind}, {about}")

    def number(self, kind: str, about: str) -> int:
        """How many different mails of a kind about that booking an address got."""
        to = [names for (one, title, _), names in self._kinds.items() if (one, title) == (kind, about)]
        return max(map(len, to), default=0)

    def problems(self) -> list[str]:
        """What was sent twice, under one name (which only a crash explains) or under several."""
        most = 1 + self._machines.crashes
        found = [
            f"one {name.split('.', 1)[0]} was sent {n} times" for name, n in self._sent.items() if n > most
        ]
        for (kind, about, _), names in self._kinds.items():
            if len(names) > 1 and kind not in SEVERAL:
                found.append(f"{len(names)} different mails {kind} about {about}")
        return found
