"""One table of searches, on both databases; and what the directory never does with what is typed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from bookingapp.builders.models import Availability, Tier
from bookingapp.core import services
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db
from bookingapp.directory.options import OptionsCache
from tests.directory.people import add_builders, search
from tests.pages import HTMX, PageClient

# The name of each is in the place of what it is about.
PEOPLE = (
    {"display_name": "Zoë Ångström", "headline": "Prompt design", "tier": Tier.EXPERT, "slug": "zoe"},
    {"display_name": "Łukasz O'Brien", "skills": ["C++", "C#", "Node.js"], "bio": "Near the sea.", "slug": "lukasz"},
    {"display_name": "Python Smith", "headline": "Teaches", "slug": "in-name"},
    {"display_name": "Ada", "headline": "Python for beginners", "slug": "in-headline"},
    {"display_name": "Bea", "headline": "Teaches", "skills": ["Python", "AI"], "slug": "in-skills"},
    {"display_name": "Cem", "bio": "I wrote Python for years.", "tier": Tier.EXPERT, "slug": "in-bio"},
    {"display_name": "Юрий Ёлкин", "headline": "東京のエンジニア", "slug": "yuri"},
    {"display_name": "Straße Müller", "headline": "ﬁrst 3D, 2FA and 1e5", "slug": "strasse"},
    {"display_name": "Unlisted Python", "listed": False, "slug": "unlisted"},
)  # fmt: skip

SEARCHES = {
    # Accents, case, ligatures and special letters.
    "zoe": ["zoe"],
    "ZOË": ["zoe"],
    "angstrom": ["zoe"],
    "lukasz": ["lukasz"],
    "łukasz obrien": ["lukasz"],
    "O\u2019Brien": ["lukasz"],
    "strasse muller": ["strasse"],
    "STRASSE MÜLLER": ["strasse"],
    "first": ["strasse"],
    # Other scripts.
    "юрий": ["yuri"],
    "елкин": ["yuri"],
    "東京": ["yuri"],
    "京東": ["yuri"],
    # All words, in any order; the last one may be a beginning, the others may not.
    "design prompt": ["zoe"],
    "prompt des": ["zoe"],
    "promp design": [],
    "prompt python": [],
    "des": ["zoe"],
    "esign": [],
    # The name before the headline before the skills before the bio, whatever the tier.
    "python": ["in-name", "in-headline", "in-skills", "in-bio"],
    "pyth": ["in-name", "in-headline", "in-skills", "in-bio"],
    "teaches python": ["in-name", "in-skills"],
    # Names with signs and figures.
    "c++": ["lukasz"],
    "c#": ["lukasz"],
    "node js": ["lukasz"],
    "node.js": ["lukasz"],
    "3d": ["strasse"],
    "2fa": ["strasse"],
    "1e5": ["strasse"],
    "1e": ["strasse"],
    "1 e5": [],
    # Nothing of this is syntax.
    'near "sea"': ["lukasz"],
    "near:sea": ["lukasz"],
    "near(sea, 1)": [],
    "sea AND near": [],
    "sea OR near": [],
    "sea NOT near": [],
    "-near sea": ["lukasz"],
    "^near": ["lukasz"],
    "near & sea": ["lukasz"],
    "near | sea": ["lukasz"],
    "near <-> sea": ["lukasz"],
    "sea:*": ["lukasz"],
    "se*": ["lukasz"],
    "!sea": ["lukasz"],
    "words: sea": [],
    "{words}: sea": [],
    "' OR 1=1 --": [],
    "sea'; DROP TABLE builders; --": [],
    "sea\\": ["lukasz"],
    "100%": [],
    "_": None,
    "%": None,
    "\"": None,
    "(((": None,
}  # fmt: skip
"""What is typed, and who is found in which order; None where nothing of it is a word, so that it is not applied."""


@pytest.mark.any_database
@pytest.mark.usefixtures("small")
def test_searches_find_the_same_on_both_databases(app: Flask, client: PageClient) -> None:
    with app.app_context():
        add_builders(db.session(), *PEOPLE)
    everybody = search(client)
    assert len(everybody) == len(PEOPLE) - 1
    for typed, expected in SEARCHES.items():
        assert search(client, q=typed) == (everybody if expected is None else expected), typed
    page = client.page("/", query_string={"q": "((("}, headers=HTMX)
    assert "Not applied: Search “(((”." in page.words


@pytest.mark.any_database
def test_the_order_without_a_search(app: Flask, client: PageClient) -> None:
    """The most validated first, then by name as people sort it, whatever the database's language."""
    with app.app_context():
        add_builders(
            db.session(),
            {"display_name": "zora", "slug": "z"},
            {"display_name": "Äda", "slug": "a"},
            {"display_name": "Ada", "slug": "b"},
            {"display_name": "Ada B", "slug": "c"},
            {"display_name": "Adab", "slug": "d"},
            {"display_name": "Mia", "tier": Tier.ESTABLISHED, "slug": "m"},
            {"display_name": "Yan", "tier": Tier.EXPERT, "slug": "y"},
        )
    assert search(client) == ["y", "m", "a", "b", "c", "d", "z"]


FILTERS: tuple[tuple[dict[str, str], list[str]], ...] = (
    ({"skill": "Node.js"}, ["ada"]),
    ({"skill": "node  JS"}, ["ada"]),
    ({"skill": "COBOL"}, ["ada", "bea", "cem"]),
    ({"tier": "expert"}, ["ada"]),
    ({"tier": "unheard-of"}, ["ada", "bea", "cem"]),
    ({"availability": "limited"}, ["bea"]),
    ({"availability": "limited", "tier": "expert"}, []),
    # Published prices in that currency; what is free costs 0 in each.
    ({"from": "10", "currency": "GBP"}, ["ada"]),
    ({"from": "10", "to": "59.99", "currency": "GBP"}, []),
    ({"to": "60", "currency": "GBP"}, ["ada", "bea"]),
    ({"to": "0"}, ["bea"]),
    ({"from": "0,01", "currency": "JPY"}, ["ada", "bea", "cem"]),
    ({"from": "5000", "currency": "jpy"}, ["cem"]),
    ({"from": "60"}, ["ada"]),
    ({"from": "9", "to": "8", "currency": "GBP"}, ["ada", "bea", "cem"]),
    ({"from": "cheap"}, ["ada", "bea", "cem"]),
    ({"from": "60", "currency": "£"}, ["ada"]),
    ({"free": "week"}, ["ada"]),
    ({"free": "year"}, ["ada", "bea", "cem"]),
    ({"q": "ada", "free": "week", "from": "60"}, ["ada"]),
    ({"after": "nonsense", "q": "ada"}, ["ada"]),
    ({"after": "1"}, ["ada", "bea", "cem"]),
    ({"after": "ax"}, ["ada", "bea", "cem"]),
)
NOT_APPLIED = {
    ("skill", "COBOL"): "Skill",
    ("tier", "unheard-of"): "Experience",
    ("from", "cheap"): "Price from",
    ("free", "year"): "Free times",
    ("currency", "£"): "Currency",
    ("availability", "<b>"): "Availability",
}


@pytest.mark.any_database
@pytest.mark.usefixtures("small")
def test_filters(app: Flask, client: PageClient) -> None:
    """Each finds the same on both databases; one that means nothing does not filter, and the page says so."""
    now = utcnow()
    soon, later, lately = now + timedelta(days=6), now + timedelta(days=8), now - timedelta(hours=1)
    with app.app_context():
        add_builders(
            db.session(),
            {
                "display_name": "Ada",
                "skills": ["Node.js"],
                "tier": Tier.EXPERT,
                "types": [
                    {"price_minor": 6000, "currency": "GBP", "free_at": soon, "checked_at": lately},
                    {"price_minor": 1000, "currency": "GBP", "published": False},
                    {"price_minor": 2000, "currency": "GBP", "refusal": "account"},
                ],
            },
            {
                "display_name": "Bea",
                "availability": Availability.LIMITED,
                "types": [
                    {"price_minor": 0, "currency": "EUR", "free_at": later, "checked_at": lately},
                    {
                        "price_minor": 0,
                        "currency": "GBP",
                        "published": False,
                        "free_at": soon,
                        "checked_at": lately,
                    },
                ],
            },
            {
                "display_name": "Cem",
                "types": [
                    {
                        "price_minor": 9000,
                        "currency": "JPY",
                        "free_at": soon,
                        "checked_at": now - timedelta(hours=4),
                    }
                ],
            },
        )
    for query, expected in FILTERS:
        assert search(client, **query) == expected, query
    for (field, value), label in NOT_APPLIED.items():
        page = client.page("/", query_string={field: value})
        assert f"Not applied: {label} “{value}”." in page.words, field


@pytest.mark.any_database
def test_statements(app: Flask, client: PageClient, statements: list[str]) -> None:
    """At most six, the rare ones of once a minute included, whatever is asked for and found."""
    with app.app_context():
        add_builders(
            db.session(),
            *({"display_name": f"Ada {n:03}", "skills": ["Python", f"S{n}"]} for n in range(60)),
        )
    for query in (
        "",
        "q=ada",
        "q=ada&skill=python&tier=entry&availability=available&to=60&free=week",
        "skill=S59",
    ):
        for again in range(2):
            statements.clear()
            client.page(f"/?{query}")
            most = 4 if again and not query else 5 if again and "S59" not in query else 6
            assert len(statements) <= most, (query, statements)
    services.provide(app, OptionsCache())
    for query in ("q=ada&skill=python&to=60", "skill=unheard-of&before=1"):
        statements.clear()
        client.page(f"/?{query}")
        assert len(statements) <= 6, (query, statements)


@pytest.mark.any_database
def test_full_text_cannot_drift(app: Flask, client: PageClient) -> None:
    """Whatever changes an entry, by whichever way, what is searched changes with it."""
    with app.app_context():
        add_builders(db.session(), {"display_name": "Ada"}, {"display_name": "Bea"})
    _execute(app, "UPDATE directory_entries SET words = 'azebra dzebra' WHERE words LIKE '%aada%'")
    assert search(client, q="zebra") == ["ada"]
    assert search(client, q="ada") == []
    _execute(app, "DELETE FROM directory_entries WHERE words LIKE '%zebra%'")
    assert search(client, q="zebra") == []
    assert search(client, q="bea") == ["bea"]


def _execute(app: Flask, statement: str) -> None:
    with app.app_context(), db.engine.begin() as connection:
        connection.execute(sa.text(statement))
        if db.engine.dialect.name == "sqlite":
            # Raises where the index has another word than the entries.
            check = "INSERT INTO directory_search (directory_search, rank) VALUES ('integrity-check', 1)"
            connection.execute(sa.text(check))
