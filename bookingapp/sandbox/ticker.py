"""Runs what happens at the providers as time passes: sessions and authorizations expire, delayed payments
settle.
"""

from __future__ import annotations

import sqlite3
import threading

from bookingapp.sandbox.context import Sandbox
from bookingapp.sandbox.stripe.authorizations import expire_due_authorizations
from bookingapp.sandbox.stripe.payments import settle_due_payments
from bookingapp.sandbox.stripe.sessions import expire_due_sessions

TICK_SECONDS = 0.5


class Ticker:
    """Expires due sessions and authorizations, and settles due payments in a thread of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopped.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            try:
                expire_due_sessions(self._sandbox)
                expire_due_authorizations(self._sandbox)
                settle_due_payments(self._sandbox)
            except sqlite3.ProgrammingError:
                # The state was closed in between: the sandbox is ending.
                return
