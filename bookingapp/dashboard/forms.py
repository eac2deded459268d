"""The page number of lists. The profile: ``profile_forms.py``; prices: ``session_types/forms.py``."""

from __future__ import annotations

from flask import request

LAST_PAGE = 10_000


def page_number() -> int:
    """The page of a list that the request asks for, from 1; no larger than databases can count to."""
    return min(max(1, request.args.get("page", 1, type=int)), LAST_PAGE)
