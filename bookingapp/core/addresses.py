"""Addresses of our own pages as providers and other people open them."""

from __future__ import annotations

from typing import Any

from flask import url_for

from bookingapp.core import services
from bookingapp.core.settings import Settings


def absolute_url(endpoint: str, **values: Any) -> str:
    """The page's address below PUBLIC_URL, never below the host that a request claims."""
    return services.get(Settings).public_url + url_for(endpoint, **values)
