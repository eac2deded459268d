"""What happens at the providers by the mere passing of time."""

from __future__ import annotations

import sqlite3
import threading
from typing import TYPE_CHECKING

from bookingapp.sandbox.stripe.payments import settle_due
from bookingapp.sandbox.stripe.sessions import expire_due

if TYPE_CHECKING:
    from bookingapp.sandbox.context import Sandbox

TICK_SECONDS = 0.5


class Ticker:
    """Ends sessions whose time is over and settles delayed payments, from a thread of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="ticker", daemon=True)

    def start(self) -> None:
        """Begin to tick."""
        self._thread.start()

    def stop(self) -> None:
        """Tick no more."""
        self._stopped.set()
        self._thread.join(timeout=2)

    def _run(self) -> None:
        while not self._stopped.wait(TICK_SECONDS):
            try:
                expire_due(self._sandbox)
                settle_due(self._sandbox)
            except sqlite3.ProgrammingError:
                # The state was closed in between: the sandbox is ending.
                return
