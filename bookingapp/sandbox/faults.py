"""Troubles that a person or a test can order, and a log of the requests that came in."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from bookingapp.sandbox.clock import new_uuid, now_iso

if TYPE_CHECKING:
    from bookingapp.sandbox.store import Document, Store

API_PREFIXES = {"/calendly-api": "calendly", "/calendly-auth": "calendly", "/stripe-api": "stripe"}
REQUEST_FAULTS = ("latency", "429", "500", "hang", "lost_answer")
WEBHOOK_FAULTS = ("duplicate", "reorder", "drop", "delay")
LONGEST_HANG = 120.0


def provider_of(path: str) -> str:
    """Whose surface a path of the sandbox belongs to: ``calendly``, ``stripe`` or ``sandbox``."""
    for prefix, provider in API_PREFIXES.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            return provider
    if path.startswith("/stripe-checkout/"):
        return "stripe"
    if path == "/" or path.startswith(("/control", "/static/", "/healthz")):
        return "sandbox"
    return "calendly"


def surface_of(path: str) -> str:
    """The name under which the request log counts a path: a provider for its API, else ``pages`` or ``sandbox``."""
    provider = provider_of(path)
    is_api = any(path.startswith(f"{prefix}/") for prefix in API_PREFIXES)
    return provider if is_api or provider == "sandbox" else "pages"


class Faults:
    """The troubles in force. Each counts down its ``remaining`` uses, or stays until it is cleared."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._changed = threading.Condition()

    def add(
        self,
        *,
        provider: str,
        kind: str,
        seconds: float = 0.0,
        remaining: int | None = None,
        path_prefix: str | None = None,
        method: str | None = None,
    ) -> Document:
        """Order a trouble.

        Args:
            provider: ``calendly`` or ``stripe``.
            kind: one of :data:`REQUEST_FAULTS` or :data:`WEBHOOK_FAULTS`.
            seconds: how slow, how late, or how long a hang lasts at most.
            remaining: for so many requests or deliveries; None until cleared.
            path_prefix: only for paths that start so, below the API's root or from the sandbox's root.
            method: only for this HTTP method.

        Raises:
            ValueError: an unknown provider or kind.
        """
        if provider not in {"calendly", "stripe"} or kind not in REQUEST_FAULTS + WEBHOOK_FAULTS:
            message = f"no such fault: {provider} {kind}"
            raise ValueError(message)
        fault: dict[str, Any] = {
            "id": new_uuid(),
            "provider": provider,
            "kind": kind,
            "seconds": seconds,
            "remaining": remaining,
            "path_prefix": path_prefix or None,
            "method": method or None,
            "created_at": now_iso(),
        }
        self._store.put("fault", fault["id"], fault)
        return fault

    def clear(self, identifier: str | None = None) -> None:
        """End one trouble, or all of them; requests that hang are let go."""
        if identifier is None:
            self._store.clear("fault")
        else:
            self._store.delete("fault", identifier)
        self.clear_waiting()

    def clear_waiting(self) -> None:
        """Let go of the requests that hang, without ending the trouble."""
        with self._changed:
            self._changed.notify_all()

    def all(self) -> list[Document]:
        """The troubles in force, oldest first."""
        return self._store.all("fault")

    def take_for_request(self, path: str, method: str) -> list[Document]:
        """The troubles that strike this request, in order, each used once by it."""
        return self._take(lambda fault: fault["kind"] in REQUEST_FAULTS and _strikes(fault, path, method))

    def take_for_delivery(self, provider: str) -> list[Document]:
        """The troubles that strike the next webhook of a provider, each used once by it."""
        return self._take(lambda fault: fault["kind"] in WEBHOOK_FAULTS and fault["provider"] == provider)

    def hang(self, fault: Document) -> None:
        """Keep the caller waiting until the trouble is cleared, at most its seconds (or two minutes)."""
        deadline = time.monotonic() + (fault["seconds"] or LONGEST_HANG)
        with self._changed:
            while (left := deadline - time.monotonic()) > 0:
                if fault["remaining"] is None and self._store.get("fault", fault["id"]) is None:
                    return
                if self._changed.wait(left):
                    return

    def _take(self, matches: Any) -> list[Document]:
        taken = []
        with self._store.transaction():
            for fault in self._store.all("fault"):
                if not matches(fault):
                    continue
                taken.append(dict(fault))
                if fault["remaining"] is not None:
                    fault["remaining"] -= 1
                    if fault["remaining"] <= 0:
                        self._store.delete("fault", fault["id"])
                    else:
                        self._store.put("fault", fault["id"], fault)
        return taken


def _strikes(fault: Document, path: str, method: str) -> bool:
    if fault["provider"] != provider_of(path) or fault["method"] not in {None, method}:
        return False
    prefix = next((known for known in API_PREFIXES if path.startswith(f"{known}/")), None)
    wanted = fault["path_prefix"]
    if wanted is None:
        return prefix is not None
    return path.startswith(wanted) or (prefix is not None and path[len(prefix) :].startswith(wanted))


class RequestLog:
    """The latest requests, and how many of each kind there were since the log was reset."""

    def __init__(self, kept: int = 1000) -> None:
        self._lock = threading.Lock()
        self._latest: deque[dict[str, Any]] = deque(maxlen=kept)
        self._counts: Counter[tuple[str, str, str]] = Counter()

    def add(self, *, provider: str, method: str, path: str, status: int, seconds: float) -> None:
        """Remember one answered request; queries are left out, since they may name people."""
        entry = {
            "at": now_iso(),
            "provider": provider,
            "method": method,
            "path": path,
            "status": status,
            "seconds": round(seconds, 4),
        }
        with self._lock:
            self._latest.append(entry)
            self._counts[provider, method, path] += 1

    def reset(self) -> None:
        """Forget everything."""
        with self._lock:
            self._latest.clear()
            self._counts.clear()

    def latest(self, limit: int = 1000) -> list[dict[str, Any]]:
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
