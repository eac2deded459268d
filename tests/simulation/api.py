"""How a call of a provider's API goes: it takes time, may fail before or after its effect, and its caller may die."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tests.simulation.machines import Machines

T = TypeVar("T")


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
        slow = self._machines.fails(faults.call_is_slow)
        world.wait(world.dice.uniform(10, 90) if slow else world.dice.uniform(0.05, 0.4))
        if self._machines.fails(faults.call_times_out):
            world.note(self._name, f"{what}: done, but the answer is lost")
            raise self._away(f"{what}: no answer")
        return answer
