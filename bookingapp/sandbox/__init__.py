"""Stand-ins for Calendly and Stripe that speak their published formats over HTTP, as one WSGI application.

It imports nothing of the booking app::

    serve_sandbox(SandboxConfig(base_url="http://127.0.0.1:8001", app_url="http://127.0.0.1:8000"),
                  host="127.0.0.1", port=8001)
"""

from __future__ import annotations

from bookingapp.sandbox.app import SandboxServer, close_sandbox, create_sandbox, serve_sandbox
from bookingapp.sandbox.config import SandboxConfig

__all__ = ["SandboxConfig", "SandboxServer", "close_sandbox", "create_sandbox", "serve_sandbox"]
