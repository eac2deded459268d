"""What a request handler of the sandbox works with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from flask import current_app

if TYPE_CHECKING:
    from bookingapp.sandbox.config import SandboxConfig
    from bookingapp.sandbox.deliveries import Deliveries
    from bookingapp.sandbox.faults import Faults, RequestLog
    from bookingapp.sandbox.store import Store


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One running stand-in: its configuration, its state and what it does on its own."""

    config: SandboxConfig
    store: Store
    deliveries: Deliveries
    faults: Faults
    requests: RequestLog


def current_sandbox() -> Sandbox:
    """The sandbox that answers the present request."""
    return cast("Sandbox", current_app.extensions["sandbox"])
