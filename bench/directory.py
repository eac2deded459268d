"""The directory: what a page costs with 10,000 builders, beside 30, and beside a bare Flask page of the same size."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bench.bare import bare_engine
from bench.pages import copy_of_application, get, processor_time
from bench.stack import Stack, database_name, postgresql_database
from bench.table import Row
from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder, Tier
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.session_types.models import SessionType

FEW, MANY = 30, 10_000
BATCH = 500
SKILLS = (
    "Python",
    "TypeScript",
    "Testing",
    "Design",
    "Rust",
    "Go",
    "Prompt design",
    "Product",
    "Data",
    "Deployment",
)
PAGES = {
    "first page": "/",
    "page in the middle": "/?after=11-m",
    "a skill that three in ten have": "/?skill=Rust",
    "a price range": "/?from=40&to=60&currency=GBP",
    "a narrow price range": "/?from=40&to=40&currency=GBP",
    "a search of a word that 1 in 50 has": "/?q=topic7",
    "a search of a word that everybody has": "/?q=builds",
    "a search of a beginning that everybody has": "/?q=word",
    "a search of two words": "/?q=rust+topic7",
    "a search of two words that many have": "/?q=rust+python",
    "a skill and a search": "/?skill=Rust&q=python",
    "a word that nobody has": "/?q=nobody",
    "filters that find nobody": "/?tier=expert&availability=unavailable",
}


def measure(stack: Stack) -> Iterator[Row]:
    """Processor time of whole pages, with many builders and with few, each in a database of its own."""
    database = database_name(stack.database_url)
    with ExitStack() as kept:
        if database == "PostgreSQL":
            url = kept.enter_context(postgresql_database())
        else:
            url = f"sqlite:///{Path(kept.enter_context(tempfile.TemporaryDirectory())) / 'few.sqlite3'}"
        few = kept.enter_context(copy_of_application(stack, url))
        many = kept.enter_context(copy_of_application(stack))
        _fill(few, FEW)
        _fill(many, MANY)
        engines = [_engine(few), _engine(many)]
        for name, path in PAGES.items():
            # With few builders, a filter finds less than a page.
            cost, reference = processor_time([partial(get, many, path), partial(get, few, "/")], engines)
            what = f"{database}: directory, {name}, {MANY} builders vs. first page, {FEW}"
            yield Row(what, cost, "ms", reference, limit=1.3)
        bare = bare_engine(stack.database_url)
        kept.callback(bare.dispose)
        page = bare_page(bare, len(get(many, "/")))
        ours, reference = processor_time([partial(get, many, "/"), partial(get, page, "/")], [*engines, bare])
        what = f"{database}: bare Flask page with one query of 24 rows vs. directory"
        yield Row(what, reference, "ms", ours)


def _engine(app: Flask) -> sa.Engine:
    with app.app_context():
        return db.engine


def bare_page(engine: sa.Engine, size: int) -> Flask:
    """A Flask page with the builders of one query, at most 24, and as many bytes as ours."""
    bare = Flask("bare")
    query = sa.text("SELECT slug, display_name, headline, tier FROM builders ORDER BY id LIMIT 24")
    template = bare.jinja_env.from_string(
        "<!DOCTYPE html><html lang=en><title>Bare</title><ul>{% for row in rows %}"
        "<li><a href='/builders/{{ row.slug }}'>{{ row.display_name }}</a> {{ row.headline }} {{ row.tier }}"
        "{% endfor %}</ul></html>"
    )

    @bare.get("/")
    def page() -> str:
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        return template.render(rows=rows).ljust(size)

    return bare


def _fill(app: Flask, count: int) -> None:
    """As many builders, each with skills, words of some topics, and two prices."""
    chosen = random.Random(1)
    with app.app_context():
        existing = db.session().scalar(sa.select(sa.func.count()).select_from(Builder)) or 0
        db.session().rollback()
        for first in range(existing, count, BATCH):
            with transaction(db.session()) as session:
                for n in range(first, min(first + BATCH, count)):
                    _add(session, chosen, n)
            db.session().expunge_all()
        if db.engine.dialect.name == "postgresql":
            with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
                connection.execute(sa.text("VACUUM ANALYZE"))


def _add(session: Session, chosen: random.Random, n: int) -> None:
    now = utcnow()
    name = "".join(chosen.choices("abcdefghijklmnopqrstuvwxyz", k=8)).title()
    account = Account(
        email=f"bench{n}@example.org", name=name, password_hash="", is_operator=False, created_at=now
    )
    builder = Builder(
        account=account,
        slug=f"bench-{n}",
        display_name=f"{name} {name[::-1].title()}",
        headline=f"Builds topic{chosen.randrange(50)} with people",
        bio=" ".join(f"word{chosen.randrange(3000)}" for _ in range(80)),
        skills=chosen.sample(SKILLS, 3),
        calendly_user_uri=f"https://api.calendly.com/users/BENCH{n}",
        tier=chosen.choice(list(Tier)),
        created_at=now,
    )
    session.add(builder)
    session.flush()
    for position, price in enumerate((0, chosen.randrange(10, 200) * 100)):
        session.add(
            SessionType(
                builder_id=builder.id,
                event_type_uri=f"https://api.calendly.com/event_types/BENCH{n}-{position}",
                price_minor=price,
                currency="GBP",
                updated_at=now,
            )
        )
