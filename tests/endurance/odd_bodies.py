"""Request bodies near the published formats, from nearly right to no JSON at all."""

from __future__ import annotations

import copy
import itertools
import json
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st

from bookingapp.webhooks.models import Provider
from bookingapp.webhooks.routing import ROUTES
from tests.factories import FIXTURES, published


def _nested(depth: int) -> Any:
    value: Any = "deep"
    for level in range(depth):
        value = [value] if level % 2 else {"in": value}
    return value


# What JSON and Python allow and databases, clocks and readers may stumble over.
_TEXTS = st.one_of(
    st.sampled_from(
        [
            "",
            "\0",
            "a\0b",
            "\ud800",
            "\udc00\ud83d",
            "𐀀" * 70,
            "x" * 70_000,
            "2026-13-45T99:99:99Z",
            "0001-01-01T00:00:00-23:59",
            "9999-12-31T23:59:59.999999-23:59",
            "2026-12-01T24:00:00Z",
            "http://[",
            "https://api.calendly.com/scheduled_events/../users/X",
            "javascript:alert(1)",
            "' OR 1=1 --",
            "../../etc/passwd",
            "cs_test_/../refunds",
            "{{7*7}}",
        ]
    ),
    st.text(max_size=20),
)
_NUMBERS = st.one_of(
    st.integers(),
    st.sampled_from([2**31, 2**63, -(2**63) - 1, 10**400, -1, 1e308, 5e-324]),
    st.floats(allow_nan=True, allow_infinity=True),
)
_DEEP = st.integers(2, 300).map(_nested)
_LEAVES = st.one_of(st.none(), st.booleans(), _NUMBERS, _TEXTS)
VALUES = st.one_of(
    _LEAVES,
    _DEEP,
    st.recursive(
        _LEAVES,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXTS, inner, max_size=3),
        max_leaves=6,
    ),
)


# What PostgreSQL accepts in no text, what is not valid UTF-8, what is too long for every column.
UNFIT = ("https://a\0b", "https://a\ud800b", "https://example.org/" + "x" * 3000)


def envelopes(provider: Provider) -> list[dict[str, Any]]:
    """One delivery of each type that is acted on, grown from the published samples, and one of no known type."""
    if provider is Provider.STRIPE:
        made = []
        for name in (*_types(provider), "customer.created"):
            body = published("stripe/event.checkout.session.completed.json")
            kind = "refund.json" if name.startswith(("refund", "charge")) else "checkout_session.paid.json"
            body["type"] = name
            body["data"] = {"object": published(f"stripe/{kind}")}
            made.append(body)
        return made
    files = {path.stem: published(f"calendly/{path.name}") for path in (FIXTURES / "calendly").glob("*.json")}
    made = [body for body in files.values() if "event" in body and "payload" in body]
    for name in _types(provider):
        if name.startswith("event_type"):
            made.append({**files["event_type.created"], "event": name})
    return made


def _types(provider: Provider) -> list[str]:
    return [name for whose, name in ROUTES if whose is provider]


@st.composite
def spoiled(draw: st.DrawFn, body: dict[str, Any]) -> bytes:
    """That body with one or two things wrong in it."""
    body = copy.deepcopy(body)
    for _ in range(draw(st.integers(1, 2))):
        _spoil(draw, body)
    return _written(body)


@st.composite
def bodies(draw: st.DrawFn, provider: Provider) -> bytes:
    """Mostly a published body with a few things wrong in it; now and then something else altogether."""
    kind = draw(st.integers(0, 9))
    if kind == 0:
        return draw(st.one_of(st.binary(max_size=200), st.sampled_from(_NO_JSON)))
    if kind == 1:
        return _written(draw(VALUES))
    body = copy.deepcopy(draw(st.sampled_from(envelopes(provider))))
    for _ in range(draw(st.integers(1, 3))):
        _spoil(draw, body)
    text = _written(body)
    if kind == 2:
        # The same name twice: readers take the last one.
        name, value = draw(st.sampled_from(sorted(body))), draw(VALUES)
        text = text[:-1] + b"," + _written(name) + b":" + _written(value) + b"}"
    if kind == 3:
        cut = draw(st.integers(0, len(text)))
        text = text[:cut] + draw(st.sampled_from([b"", b"\xff\xfe", b"\0", b"}}"])) + text[cut:]
    return text


_NO_JSON = [
    b"",
    b" ",
    b"null",
    b"{",
    b"[" * 100_000,
    b'{"a":' * 50_000,
    b"\xff\xfe\0",
    b"\xef\xbb\xbf{}",
    b'{"event":"invitee.created"}',
    b'{"id":NaN,"object":"event"}',
    b'{"created_at":Infinity}',
    b"1" * 5000,
]


def _spoil(draw: st.DrawFn, body: dict[str, Any]) -> None:
    """Replace or remove one value, at any depth."""
    place, key = draw(st.sampled_from(list(_places(body))))
    if isinstance(place, list) or draw(st.integers(0, 3)):
        is_text = isinstance(place[key], str) and draw(st.booleans())
        place[key] = draw(_TEXTS if is_text else VALUES)
    else:
        del place[key]


def _places(inside: Any) -> Iterator[tuple[Any, Any]]:
    """Every container in it with each of its keys, from the outside in."""
    for key in list(inside) if isinstance(inside, dict) else range(len(inside)):
        yield inside, key
        if isinstance(inside[key], dict | list):
            yield from _places(inside[key])


def each_text_spoiled(body: dict[str, Any]) -> Iterator[bytes]:
    """The body again and again, each time with another one of its texts unfit for a database."""
    numbers = itertools.count()
    for place, key in list(_places(body)):
        right = place[key]
        if isinstance(right, str):
            for wrong in UNFIT:
                _make_news(body, next(numbers))
                place[key] = wrong
                yield _written(body)
            place[key] = right


def _make_news(body: dict[str, Any], number: int) -> None:
    """Let it be another happening than the one before."""
    if "payload" in body:
        body["payload"]["updated_at"] = f"2026-11-24T10:00:00.{number:06}Z"
    else:
        body["id"] = f"evt_{number:024}"


def _written(value: object) -> bytes:
    """JSON as the loosest writer makes it: lone halves of characters stay escaped, NaN is a word."""
    return json.dumps(value, allow_nan=True).encode("ascii")
