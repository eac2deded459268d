"""The network to and from the providers. Webhooks come late, twice, in any order, and again unless answered with 2xx.
API calls take time and may fail before or after their effect, and their caller may die.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from bookingapp.core import services
from bookingapp.integrations.signatures import Verified
from bookingapp.webhooks.intake import Intake
from bookingapp.webhooks.models import Provider
from bookingapp.webhooks.service import store_delivery
from tests.simulation.machines import Machines, Refused

T = TypeVar("T")
# Calendly tries for 24 hours with growing gaps, Stripe for three days.
GIVES_UP = {Provider.CALENDLY: timedelta(hours=24), Provider.STRIPE: timedelta(days=3)}
FIRST_GAP, LONGEST_GAP = 5.0, 4 * 3600.0


@dataclass(frozen=True)
class Message:
    provider: Provider
    body: bytes
    what: str
    then: Callable[[], None]

    @classmethod
    def of(cls, provider: Provider, body: dict[str, Any], what: str, then: Callable[[], None]) -> Message:
        return cls(provider, json.dumps(body).encode(), what, then)


class Network:
    def __init__(self, machines: Machines) -> None:
        self._machines = machines
        self._world = machines.world

    def send(
        self, provider: Provider, body: dict[str, Any], what: str, then: Callable[[], None] = lambda: None
    ) -> None:
        """``what`` names the webhook in the trace, ``then`` runs once it is stored."""
        message = Message.of(provider, body, what, then)
        if self._machines.fails(self._machines.faults.lost):
            self._world.note(provider.value, f"never sends: {what}")
            return
        copies = 1
        while copies < 4 and self._machines.fails(self._machines.faults.twice):
            copies += 1
        for _ in range(copies):
            self._later(message, self._delay(), sent=0.0, gap=FIRST_GAP)

    def _later(self, message: Message, delay: float, *, sent: float, gap: float) -> None:
        def deliver() -> None:
            if self.deliver(message):
                return
            if timedelta(seconds=sent + gap) > GIVES_UP[message.provider]:
                self._world.note(message.provider.value, f"gives up: {message.what}")
            else:
                self._later(message, gap, sent=sent + gap, gap=min(gap * 3, LONGEST_GAP))

        self._world.after(delay, deliver)

    def deliver(self, message: Message) -> bool:
        """Send it once. Returns whether it was answered with 2xx."""
        answer = self._machines.request(
            message.provider.value, f"sends: {message.what}", lambda _session: self._keep(message)
        )
        if isinstance(answer, Refused):
            return False
        message.then()
        return True

    def _keep(self, message: Message) -> None:
        now = self._world.now
        # The commit is one, so that a kill is before it or after it; after it, the provider gets no answer.
        self._machines.may_crash()
        store_delivery(
            services.get(Intake),
            message.provider,
            body=message.body,
            headers={"Content-Type": "application/json"},
            verified=Verified(0, now),
            now=now,
        )
        self._machines.may_crash()

    def _delay(self) -> float:
        dice = self._world.dice
        if not self._machines.fails(self._machines.faults.late):
            return dice.uniform(0.1, 3.0)
        return dice.choice((dice.uniform(3, 600), dice.uniform(600, 4 * 3600), dice.uniform(3600, 40 * 3600)))


class Api:
    """One provider's side of the line. ``away`` is the error of a call that has no answer."""

    def __init__(self, machines: Machines, name: str, away: type[Exception]) -> None:
        self._machines = machines
        self._world = machines.world
        self._name = name
        self._away = away

    def call(self, what: str, effect: Callable[[], T]) -> T:
        """Make a call. Raises the provider's own refusals, and ``away``."""
        faults, world = self._machines.faults, self._world
        self._machines.before_call()
        world.wait(world.dice.uniform(0.05, 0.4))
        if faults.is_out(self._name, world.now) or self._machines.fails(faults.call_fails):
            world.note(self._name, f"{what}: no answer")
            raise self._away(f"{what}: no answer")
        self._machines.may_crash()
        try:
            answer = effect()
        except Exception as refusal:
            world.note(self._name, f"{what}: {type(refusal).__name__}")
            raise
        world.note(self._name, what)
        self._machines.may_crash()
        said = world.now.replace(microsecond=0)
        slow = self._machines.fails(faults.call_is_slow)
        world.wait(world.dice.uniform(10, 90) if slow else world.dice.uniform(0.05, 0.4))
        if self._machines.fails(faults.call_times_out):
            world.note(self._name, f"{what}: done, but the answer is lost")
            raise self._away(f"{what}: no answer")
        self._machines.time.note(self._name, said)
        return answer
