"""Whether what the application leans on answers, for ``/readyz`` and the operators' console."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Final

from bookingapp.core.settings import Settings
from bookingapp.integrations.redis_link import RedisAway, RedisLink

FULL_BYTES: Final = 50_000_000
"""With less free space, a disk is about to refuse writes."""


def has_space(settings: Settings) -> bool:
    """Whether the disk of the instance folder, which holds SQLite's file, has space left."""
    return shutil.disk_usage(settings.instance_dir).free >= FULL_BYTES


def redis_answers(settings: Settings, find_link: Callable[[], RedisLink]) -> bool | None:
    """Whether Redis answers; None where it is not used, and then ``find_link`` is not called.

    After a failure, the link says no for a while without trying.
    """
    if not settings.redis_url:
        return None
    try:
        find_link().do(lambda redis: redis.ping())
    except RedisAway:
        return False
    return True
