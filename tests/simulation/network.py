"""The way of a webhook to us: late, twice, in any order, and again where it was not answered with 2xx."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

from bookingapp.integrations.signatures import Verified
from bookingapp.webhooks.models import Provider
from bookingapp.webhooks.service import keep
from tests.simulation.faults import LAST
from tests.simulation.machines import Machines, Refused

# Calendly tries for 24 hours with growing gaps, Stripe for three days.
GIVES_UP = {Provider.CALENDLY: timedelta(hours=24), Provider.STRIPE: timedelta(days=3)}
FIRST_GAP, LONGEST_GAP = 5.0, 4 * 3600.0


class Network:
    """Delivers what the providers say."""

    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._world = machines.world
        self.lost: list[str] = []

    def send(self, provider: Provider, body: dict[str, Any], what: str) -> None:
        """Let the provider tell us; ``what`` names it in the trace."""
        raw = json.dumps(body).encode()
        copies = 1
        while copies < 4 and self._faulty(self._machines.faults.twice):
            copies += 1
        for _ in range(copies):
            self._later(provider, raw, what, self._delay(), sent=0.0, gap=FIRST_GAP)

    def _later(
        self, provider: Provider, raw: bytes, what: str, delay: float, *, sent: float, gap: float
    ) -> None:
        def deliver() -> None:
            if self._is_taken(provider, raw, what):
                return
            if timedelta(seconds=sent + gap) > GIVES_UP[provider]:
                self.lost.append(what)
                self._world.note(provider.value, f"gives up to tell: {what}")
                return
            following = min(gap * 3, LONGEST_GAP)
            self._later(provider, raw, what, gap, sent=sent + gap, gap=following)

        self._world.after(delay, deliver)

    def _is_taken(self, provider: Provider, raw: bytes, what: str) -> bool:
        now = self._world.now
        answer = self._machines.request(
            provider.value,
            f"tells: {what}",
            lambda session: keep(
                session,
                provider,
                body=raw,
                headers={"Content-Type": "application/json"},
                verified=Verified(0, now),
                now=self._world.now,
            ),
        )
        return not isinstance(answer, Refused)

    def _delay(self) -> float:
        dice = self._world.dice
        if not self._faulty(self._machines.faults.late):
            return dice.uniform(0.1, 3.0)
        return dice.choice((dice.uniform(3, 600), dice.uniform(600, 4 * 3600), dice.uniform(3600, 40 * 3600)))

    def _faulty(self, share: float) -> bool:
        return self._world.now < LAST and self._world.chance(share)
