"""Whether what the application leans on answers, for ``/readyz`` and the operators' console."""

from __future__ import annotations

from collections.abc import Callable

from bookingapp.core.settings import Settings
from bookingapp.integrations.redis_link import RedisAway, RedisLink


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
