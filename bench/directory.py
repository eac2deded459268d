"""The directory: what a page costs with 10,000 builders, beside 30, and beside a bare Flask page of the same size."""

from __future__ import annotations

import logging
import random
import statistics
import time
from collections.abc import Callable, Iterator
from unittest import mock

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bench.stack import Stack, database_name
from bench.table import Row
from bookingapp.accounts.models import Account
from bookingapp.builders.models import Builder, Tier
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction
from bookingapp.core.settings import load_settings
from bookingapp.factory import create_app
from bookingapp.session_types.models import SessionType

FEW, MANY = 30, 10_000
BATCH = 500
ROUNDS = 40
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
    "a skill": "/?skill=Rust",
    "a price range": "/?from=40&to=60&currency=GBP",
    "a search of a word that 1 in 50 has": "/?q=topic7",
    "a search of two words": "/?q=rust+topic7",
    "filters that find nobody": "/?tier=expert&availability=unavailable",
}


def measure(stack: Stack) -> Iterator[Row]:
    """Processor time of whole pages, inside a copy of the application on the same database."""
    with mock.patch.dict("os.environ", stack.environment, clear=True):
        app = create_app(load_settings())
    # A line for each request, on both sides.
    logging.disable(logging.CRITICAL)
    bare = _bare_page(app)
    client, bare_client = app.test_client(), bare.test_client()
    costs: dict[int, dict[str, float]] = {}
    sizes: dict[str, int] = {}
    for count in (FEW, MANY):
        _fill(app, count)
        costs[count] = {}
        for name, path in PAGES.items():
            answer = client.get(path)
            if answer.status_code != 200:
                raise RuntimeError(f"{path}: {answer.status}")
            sizes[name] = len(answer.data)
            costs[count][name] = _cost(lambda path=path: client.get(path))  # type: ignore[misc]
    database = database_name(stack.database_url)
    for name in PAGES:
        yield Row(
            f"{database}: directory, {name}, {MANY} builders vs. first page, {FEW}",
            costs[MANY][name] * 1000,
            "ms",
            # With few builders, a filter finds less than a page.
            costs[FEW]["first page"] * 1000,
            limit=1.3,
        )
    bare.config["SIZE"] = sizes["first page"]
    reference = _cost(lambda: bare_client.get("/page"))
    yield Row(
        f"{database}: bare Flask page with one query of 24 rows vs. directory",
        reference * 1000,
        "ms",
        costs[MANY]["first page"] * 1000,
    )
    logging.disable(logging.NOTSET)


def _cost(get: Callable[[], object]) -> float:
    """The median processor time of one request, in seconds."""
    get()
    times = []
    for _ in range(ROUNDS):
        began = time.process_time()
        get()
        times.append(time.process_time() - began)
    return statistics.median(times)


def _bare_page(app: Flask) -> Flask:
    bare = Flask("bare")
    bare.config["SIZE"] = 0
    with app.app_context():
        engine = db.engine
    query = sa.text("SELECT slug, display_name, headline, tier FROM builders ORDER BY id LIMIT 24")
    template = bare.jinja_env.from_string(
        "<!DOCTYPE html><html lang=en><title>Bare</title><ul>{% for row in rows %}"
        "<li><a href='/builders/{{ row.slug }}'>{{ row.display_name }}</a> {{ row.headline }} {{ row.tier }}"
        "{% endfor %}</ul>{{ filling }}</html>"
    )

    @bare.get("/page")
    def page() -> str:
        with engine.connect() as connection:
            rows = connection.execute(query).all()
        text = template.render(rows=rows)
        return text + "x" * (bare.config["SIZE"] - len(text))

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
