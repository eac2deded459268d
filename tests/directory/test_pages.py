"""Pages of the directory against a plain Python model: nothing is missed, repeated or out of order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from itertools import chain
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from bookingapp.builders.models import Availability, Tier
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.directory import service
from bookingapp.directory.options import OptionsCache
from bookingapp.directory.service import Page, find_page
from tests.directory.people import add_builders, shown
from tests.pages import PageClient

PER_PAGE = 24
COUNT = 90
TIERS = (Tier.EXPERT, Tier.ESTABLISHED, Tier.ENTRY)
AVAILABILITIES = tuple(Availability)
WORDS = ("ada", "adam", "bea", "cem", "dana", "eve")
SKILLS = ("Python", "Rust", "AI")


@dataclass(frozen=True)
class Person:
    """One builder of the model: a mixture that depends on the number."""

    number: int

    @property
    def slug(self) -> str:
        return f"p{self.number:03}"

    @property
    def name(self) -> str:
        return WORDS[self.number % 5]

    @property
    def headline(self) -> str:
        return WORDS[self.number * 7 % 6]

    @property
    def bio(self) -> str:
        return WORDS[self.number * 11 % 6]

    @property
    def tier(self) -> Tier:
        return TIERS[self.number % 3]

    @property
    def availability(self) -> Availability:
        return AVAILABILITIES[self.number // 3 % 3]

    @property
    def skills(self) -> list[str]:
        return [skill for bit, skill in enumerate(SKILLS) if self.number >> bit & 1]

    @property
    def is_featured(self) -> bool:
        return self.number % 13 == 0

    @property
    def prices(self) -> list[int]:
        """In pence; 0 is free, and there may be none."""
        return [self.number * 100] * (self.number % 4 > 0) + [0] * (self.number % 7 == 0)

    @property
    def columns(self) -> dict[str, Any]:
        return {
            "slug": self.slug,
            "display_name": self.name.title(),
            "headline": self.headline,
            "bio": self.bio,
            "tier": self.tier,
            "availability": self.availability,
            "skills": self.skills,
            "featured_at": utcnow() if self.is_featured else None,
            "types": [(price, "GBP") for price in self.prices],
        }

    def field_of(self, words: list[str]) -> int | None:
        """How many fields are needed for all of these words; None where all of them together do not do."""
        fields = ([self.name], [self.headline], [skill.lower() for skill in self.skills], [self.bio])
        known: list[str] = []
        for position, some in enumerate(fields):
            known += some
            if {*words[:-1]} <= {*known} and any(word.startswith(words[-1]) for word in known):
                return position
        return None


PEOPLE = [Person(number) for number in range(COUNT)]


def expected(query: dict[str, str]) -> list[str]:
    """The slugs that the model finds, in order."""
    words = query.get("q", "").split()
    low, high = int(query.get("from", -1)), int(query.get("to", 10**9))
    found = []
    for one in PEOPLE:
        field = one.field_of(words) if words else 0
        if field is None:
            continue
        if query.get("skill") and query["skill"] not in one.skills:
            continue
        if query.get("tier") and query["tier"] != one.tier:
            continue
        if query.get("availability") and query["availability"] != one.availability:
            continue
        if ("from" in query or "to" in query) and not any(
            low * 100 <= price <= high * 100 for price in one.prices
        ):
            continue
        found.append((field, not one.is_featured, TIERS.index(one.tier), one.name, one.slug))
    return [entry[-1] for entry in sorted(found)]


QUERIES = st.fixed_dictionaries(
    {},
    optional={
        "q": st.lists(st.sampled_from([*WORDS, "a", "da", "py", "python"]), min_size=1, max_size=2).map(
            " ".join
        ),
        "skill": st.sampled_from(SKILLS),
        "tier": st.sampled_from([str(tier) for tier in Tier]),
        "availability": st.sampled_from([str(one) for one in Availability]),
        "from": st.integers(0, 60).map(str),
        "to": st.integers(61, 90).map(str),
    },
)


@pytest.fixture
def crowd(app: Flask) -> Flask:
    """The people of the model."""
    with app.app_context():
        add_builders(db.session(), *(one.columns for one in PEOPLE))
    return app


@pytest.mark.any_database
@pytest.mark.usefixtures("small")
def test_pages_forward_and_back(crowd: Flask) -> None:
    """However the directory is searched and filtered, its pages put together are what the model finds."""
    cache = OptionsCache()

    def look(args: dict[str, str]) -> Page:
        with crowd.app_context():
            return find_page(db.session(), args, cache, now=utcnow())

    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(query=QUERIES)
    @example({"q": "ada bea"})
    @example({"q": "ada", "skill": "Rust"})
    def check(query: dict[str, str]) -> None:
        page = look(query)
        pages = [page]
        while page.after is not None:
            page = look(page.filters.at(page.after))
            pages.append(page)
        found = [[card.slug for card in one.cards] for one in pages]
        assert list(chain(*found)) == expected(query)
        assert all(len(some) == PER_PAGE for some in found[:-1])
        assert pages[0].total == min(len(expected(query)), service.COUNTED + 1)
        while page.before is not None:
            page = look(page.filters.at(page.before))
            pages.pop()
            assert [card.slug for card in page.cards] == [card.slug for card in pages[-1].cards]
        assert len(pages) == 1

    check()


def test_a_page_can_be_shared_and_outlives_changes(app: Flask, client: PageClient) -> None:
    """An address goes on where it went on, whoever has left or come in the meantime."""
    with app.app_context():
        made = add_builders(db.session(), *({"display_name": f"N{n:02}"} for n in range(30)))
        ids = [one.id for one in made]
    first = client.page("/?q=&skill=&tier=nobody")
    (link,) = first.select("a[rel=next]")
    assert set(parse_qs(urlsplit(str(link["href"])).query)) == {"after"}
    second = client.page(str(link["href"]))
    assert shown(second) == [f"n{n}" for n in range(24, 30)]
    with app.app_context():
        add_builders(db.session(), {"display_name": "N05b"}, {"display_name": "N26b"})
        session = db.session()
        for gone in (ids[23], ids[27]):
            session.delete(session.get_one(type(made[0]), gone))
        session.commit()
    assert shown(client.page(str(link["href"]))) == ["n24", "n25", "n26", "n26b", "n28", "n29"]
    (back,) = second.select("a[rel=prev]")
    assert shown(client.page(str(back["href"])))[:2] == ["n00", "n01"]


def test_what_is_beyond_the_end(app: Flask, client: PageClient) -> None:
    """An empty page says so and leads back."""
    with app.app_context():
        add_builders(db.session(), {"display_name": "Ada"})
    page = client.page("/?tier=entry&after=9")
    assert "There are no more builders" in page.words
    assert page.one(".empty a")["href"] == "/?tier=entry"


def test_more_than_are_counted(app: Flask, client: PageClient) -> None:
    with app.app_context():
        add_builders(db.session(), *({"display_name": f"N{n:03}"} for n in range(101)))
    assert client.page("/").one("#builder-results-title").text.strip() == "More than 100 builders"
    title = client.page("/?q=n").one("#builder-results-title").text.strip()
    assert title == "More than 100 builders for your search"


def test_the_card(app: Flask, client: PageClient) -> None:
    """From which price, and when next, as long as that is known to be true."""
    now = utcnow()
    soon, passed = now + timedelta(days=2), now - timedelta(minutes=1)
    lately, long_ago = now - timedelta(hours=2, minutes=30), now - timedelta(hours=4)
    kinds: dict[str, list[Any]] = {
        "both": [(0, "GBP"), (6000, "GBP"), (3000, "GBP")],
        "paid": [{"price_minor": 9000, "currency": "JPY", "free_at": soon, "checked_at": lately}],
        "free": [{"price_minor": 0, "currency": "EUR", "free_at": soon, "checked_at": now}],
        "none": [{"price_minor": 100, "currency": "GBP", "published": False}],
        "stale": [{"price_minor": 100, "currency": "GBP", "free_at": soon, "checked_at": long_ago}],
        "passed": [{"price_minor": 100, "currency": "GBP", "free_at": passed, "checked_at": lately}],
        "paused": [{"price_minor": 100, "currency": "GBP", "free_at": soon, "checked_at": now}],
    }
    with app.app_context():
        add_builders(
            db.session(),
            *(
                {
                    "display_name": kind,
                    "types": types,
                    "timezone": "Asia/Tokyo",
                    "disconnected_at": now if kind == "paused" else None,
                }
                for kind, types in kinds.items()
            ),
        )
    page = client.page("/")
    words = {
        str(card.select("h3 a")[0]["href"]).rsplit("/", 1)[1]: " ".join(card.get_text(" ").split())
        for card in page.select(".builder-card")
    }
    assert "Free, or from £30.00" in words["both"]
    assert "From JP¥9,000" in words["paid"].replace("\N{NO-BREAK SPACE}", "")
    assert "JST checked 3 hours ago" in words["paid"]
    assert "Free Next free:" in words["free"]
    assert "checked" not in words["free"]
    assert "No sessions to book yet" in words["none"]
    assert "Booking is paused" in words["paused"]
    for unknown in ("both", "none", "stale", "passed", "paused"):
        assert "Next free" not in words[unknown], unknown


def test_htmx_gets_a_short_address(app: Flask, client: PageClient) -> None:
    """What is pushed is what can be shared: without empty fields and without what means nothing."""
    answer = client.get("/?q=ada&skill=&tier=x&currency=GBP&from=&to=&free=", headers={"HX-Request": "true"})
    assert answer.headers["HX-Push-Url"] == "/?q=ada"
