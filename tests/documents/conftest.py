"""The application and the sandbox, over HTTP."""

from __future__ import annotations

from tests.live import app_url, hands, live, settings

__all__ = ["app_url", "hands", "live", "settings"]
