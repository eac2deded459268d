"""A log of the requests that came in, kept in memory."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Any

from bookingapp.sandbox.clock import now_iso

LONGEST_LOG = 1000


class RequestLog:
    """The latest requests, and how many of each kind came since the log was reset."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: deque[dict[str, Any]] = deque(maxlen=LONGEST_LOG)
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, *, provider: str, method: str, path: str, status: int, seconds: float) -> None:
        """Log one answered request; ``path`` comes without its query, which may name people."""
        entry = {"at": now_iso(), "provider": provider, "method": method, "path": path, "status": status}
        with self._lock:
            self._latest.append({**entry, "seconds": round(seconds, 4)})
            self._counts[provider, method, path] += 1

    def reset(self) -> None:
        """Empty the log."""
        with self._lock:
            self._latest.clear()
            self._counts.clear()

    def latest(self, limit: int = LONGEST_LOG) -> list[dict[str, Any]]:
        """The latest requests, newest first."""
        with self._lock:
            return list(reversed(self._latest))[:limit]

    def counts(self) -> list[dict[str, Any]]:
        """Rows of provider, method, path and count, the most frequent first."""
        with self._lock:
            ranked = self._counts.most_common()
        return [
            {"provider": provider, "method": method, "path": path, "count": count}
            for (provider, method, path), count in ranked
        ]
