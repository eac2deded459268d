"""A process of its own that reads through the client: ``python -m`` it with its orders as JSON; it answers in JSON.

``threads`` readers ask for the same list at once. It prints how they fared, and the breaker's state after it.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from bookingapp.integrations.calendly import CalendlyClient, CalendlyError, PlatformTokens
from bookingapp.integrations.redis_link import RedisLink


def main(orders: dict[str, Any]) -> None:
    """Wait for a line on standard input, so that several of these begin together; then read."""
    client = CalendlyClient(
        api_url=orders["api_url"],
        tokens=PlatformTokens("token"),
        user_agent="bookingapp-tests/1",
        link=RedisLink(orders["redis_url"], prefix=orders["prefix"]),
    )

    def read(_: int) -> str:
        try:
            return f"{len(client.list_event_types('builder:1', orders['user']).value)} types"
        except CalendlyError as error:
            return error.category

    with ThreadPoolExecutor(orders["threads"]) as pool:
        print("ready", flush=True)  # noqa: T201 - it is read by the test
        sys.stdin.readline()
        fared = Counter(pool.map(read, range(orders["threads"])))
    client.settle()
    print(json.dumps({"fared": fared, "breaker": client.breaker_state}), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
