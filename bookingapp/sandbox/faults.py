"""Faults that a person or a test adds: how requests to the providers and their webhooks go wrong."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from bookingapp.sandbox.clock import new_uuid, now_iso
from bookingapp.sandbox.store import Document, Store

API_PREFIXES = {"/calendly-api": "calendly", "/calendly-auth": "calendly", "/stripe-api": "stripe"}
REQUEST_FAULTS = ("latency", "429", "500", "hang", "lost_answer")
WEBHOOK_FAULTS = ("duplicate", "reorder", "drop", "delay")
LONGEST_HANG = 120.0


def _api_prefix(path: str) -> str | None:
    return next((prefix for prefix in API_PREFIXES if path == prefix or path.startswith(f"{prefix}/")), None)


def provider_of(path: str) -> str:
    """The provider that a path of the sandbox belongs to: ``calendly``, ``stripe`` or ``sandbox``."""
    if prefix := _api_prefix(path):
        return API_PREFIXES[prefix]
    if path.startswith("/stripe-checkout/"):
        return "stripe"
    if path == "/" or path.startswith(("/control", "/static/", "/healthz")):
        return "sandbox"
    return "calendly"


def log_name_of(path: str) -> str:
    """The name under which the request log counts a path: the provider of an API, ``pages`` or ``sandbox``."""
    provider = provider_of(path)
    return provider if _api_prefix(path) or provider == "sandbox" else "pages"


class Faults:
    """The active faults. Each ends after its ``remaining`` uses, or when it is cleared."""

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
        """Add a fault.

        Args:
            provider: ``calendly`` or ``stripe``.
            kind: one of :data:`REQUEST_FAULTS` or :data:`WEBHOOK_FAULTS`.
            seconds: the length of a latency, of a delay, or of the longest hang.
            remaining: for that many requests or deliveries; None until cleared.
            path_prefix: only for paths that start so, below the API's root or from the sandbox's root.
            method: only for this HTTP method.

        Raises:
            ValueError: an unknown provider or kind.
        """
        if provider not in {"calendly", "stripe"} or kind not in REQUEST_FAULTS + WEBHOOK_FAULTS:
            raise ValueError(f"no such fault: {provider} {kind}")
        fault: Document = {
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
        """End one fault, or all of them; hanging requests go on."""
        if identifier is None:
            self._store.clear("fault")
        else:
            self._store.delete("fault", identifier)
        self.release_hanging()

    def release_hanging(self) -> None:
        """Let the hanging requests go on, without ending the fault."""
        with self._changed:
            self._changed.notify_all()

    def all(self) -> list[Document]:
        """The active faults, oldest first."""
        return self._store.all("fault")

    def use_for_request(self, path: str, method: str) -> list[Document]:
        """The faults that apply to this request, in order; each counts as used once."""
        return self._use(lambda fault: fault["kind"] in REQUEST_FAULTS and _applies(fault, path, method))

    def use_for_delivery(self, provider: str) -> list[Document]:
        """The faults that apply to the next webhook of a provider; each counts as used once."""
        return self._use(lambda fault: fault["kind"] in WEBHOOK_FAULTS and fault["provider"] == provider)

    def hang(self, fault: Document) -> None:
        """Block until the fault is cleared, at most for its seconds (or :data:`LONGEST_HANG`)."""
        deadline = time.monotonic() + (fault["seconds"] or LONGEST_HANG)
        with self._changed:
            while (left := deadline - time.monotonic()) > 0:
                if fault["remaining"] is None and self._store.get("fault", fault["id"]) is None:
                    return
                if self._changed.wait(left):
                    return

    def _use(self, applies: Callable[[Document], bool]) -> list[Document]:
        with self._store.transaction():
            used = [fault for fault in self.all() if applies(fault)]
            for fault in used:
                if fault["remaining"] is None:
                    continue
                if fault["remaining"] > 1:
                    self._store.put("fault", fault["id"], {**fault, "remaining": fault["remaining"] - 1})
                else:
                    self._store.delete("fault", fault["id"])
        return used


def _applies(fault: Document, path: str, method: str) -> bool:
    if fault["provider"] != provider_of(path) or fault["method"] not in {None, method}:
        return False
    prefix, wanted = _api_prefix(path), fault["path_prefix"]
    if wanted is None:
        return prefix is not None
    return path.startswith(wanted) or (prefix is not None and path.removeprefix(prefix).startswith(wanted))
