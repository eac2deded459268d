"""What a Calendly that hangs costs the pages that do not need it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bench import webhooks
from bench.load import Ask, Heard, Wave, check, percentile, run
from bench.stack import Stack
from bench.table import Row

CONNECTIONS = 20
ROUNDS = 3
SECONDS = 6.0
# Six more connections ask for cards, four times a second each, of all three builders.
CARDS_CONNECTIONS, CARDS_EVERY = 6, 0.25
SLUGS = ("ada-okonkwo", "kenji-mori", "maya-lindqvist")
HANG_SECONDS = 30
FLOOR_MS = 5.0


def measure(stack: Stack) -> Iterator[Row]:
    """Rows for the 95th percentiles: normal and hanging in turns, on the same offered load."""
    booking = _booking(stack)
    normal: list[Heard] = []
    hanging: list[Heard] = []
    # Each phase has a new web process, whose breaker is closed: half of what is measured is the time until it opens.
    for _ in range(ROUNDS):
        normal += _phase(stack, booking, hanging=False)
        hanging += _phase(stack, booking, hanging=True)
    names = {"/": "/", "/bookings": "/bookings/<ref>", "webhook": "POST /webhooks/stripe"}
    check([one for one in normal + hanging if one.name != "cards"], 200)
    check([one for one in normal if one.name == "cards"], 200)
    check([one for one in hanging if one.name == "cards"], 200, 503)
    for name, title in names.items():
        yield Row(
            f"Calendly hangs: p95 of {title}, 20 in flight",
            percentile(hanging, name, 95),
            "ms",
            percentile(normal, name, 95),
            limit=1.3,
            floor=FLOOR_MS,
        )
    waits = sorted(one.seconds for one in hanging if one.name == "cards")
    yield Row("Calendly hangs: slowest cards fragment", waits[-1], "s", limit=3.5)
    yield Row("Calendly hangs: median cards fragment", waits[len(waits) // 2] * 1000, "ms")


def _phase(stack: Stack, booking: str, *, hanging: bool) -> list[Heard]:
    stack.control("faults/clear", {})
    stack.restart_web()
    if hanging:
        stack.control("faults", {"provider": "calendly", "kind": "hang", "seconds": HANG_SECONDS})
    for path in ("/", booking, "/healthz"):
        stack.get(path).raise_for_status()

    def page(number: int) -> Ask:
        kind = number % 3
        if kind == 0:
            return Ask("/", "/")
        if kind == 1:
            return Ask("/bookings", booking)
        return webhooks.ask("/webhooks/stripe")

    def cards(number: int) -> Ask:
        slug = SLUGS[number % len(SLUGS)]
        return Ask("cards", f"/builders/{slug}/session-types", headers={"HX-Request": "true"})

    waves = [Wave(CONNECTIONS, page), Wave(CARDS_CONNECTIONS, cards, every=CARDS_EVERY)]
    try:
        return run(stack.url, waves, SECONDS)
    finally:
        stack.control("faults/clear", {})


def _booking(stack: Stack) -> str:
    """The truth page of a booking that waits for its time."""
    address = "/builders/ada-okonkwo/session-types/ETADACONSULT0060"
    token = re.search(r'name="csrf_token" value="([^"]+)"', stack.get(address).text)
    if token is None:
        raise RuntimeError("the booking form has no token")
    fields = {"name": "Bench", "email": "bench@example.org", "csrf_token": token[1], "timezone": "UTC"}
    made = stack.post(f"{address}/book", fields)
    made.raise_for_status()
    return made.url.removeprefix(stack.url).partition("/schedule")[0]
