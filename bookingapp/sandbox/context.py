"""The sandbox that request handlers work with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

from flask import abort, current_app

from bookingapp.sandbox.config import SandboxConfig
from bookingapp.sandbox.deliveries import Deliveries
from bookingapp.sandbox.faults import Faults
from bookingapp.sandbox.request_log import RequestLog
from bookingapp.sandbox.store import Document, Store


@dataclass(frozen=True, slots=True)
class Sandbox:
    """One running sandbox: its configuration, state, webhook deliveries, faults and request log."""

    config: SandboxConfig
    store: Store
    deliveries: Deliveries
    faults: Faults
    requests: RequestLog


def current_sandbox() -> Sandbox:
    """The sandbox that answers the current request."""
    return cast("Sandbox", current_app.extensions["sandbox"])


def get_or_404(kind: str, identifier: str) -> Document:
    """A document of the state; the request ends with 404 if there is none."""
    return current_sandbox().store.get(kind, identifier) or abort(404)
