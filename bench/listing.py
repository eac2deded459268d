"""The list of bookings of a builder with 100,000, beside the same of one with 1,000 and beside a bare Flask page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

import sqlalchemy as sa
from flask import Flask
from sqlalchemy.orm import Session

from bench.bare import bare_engine
from bench.many import make_builder
from bench.pages import copy_of_application, get, processor_time
from bench.stack import Stack, database_name
from bench.table import Row
from bookingapp.accounts import log_ins
from bookingapp.accounts.guard import COOKIE_KEY
from bookingapp.accounts.models import Account
from bookingapp.accounts.origins import Origin
from bookingapp.builders.models import Builder
from bookingapp.core.clock import utcnow
from bookingapp.core.db import db, transaction

MANY, FEW = 100_000, 1_000
DEEP = 60
PAGE = "/dashboard/bookings"
LISTS = {
    "the first page": "",
    "past": "?sort=past",
    "booked last": "?sort=newest",
    "by amount": "?sort=highest",
    "by name": "?sort=name",
    "without a time": "?show=unfinished",
    "a status": "?status=canceled",
    "a rare payment status": "?payment=disputed&sort=newest",
    "nothing that matches": "?status=paid&payment=failed",
    "a month": "?from=2026-05-01&to=2026-05-31",
    "a month, by amount": "?from=2026-05-01&to=2026-05-31&sort=highest",
    "a status, by name": "?status=completed&sort=name",
    "an e-mail address": "?q=grace.hall",
    "a frequent word": "?q=grace",
    "two frequent words": "?q=grace+hall",
    "an e-mail address, past": "?q=grace.hall&sort=past",
    "a frequent word, past": "?q=grace&sort=past",
    "two frequent words, past": "?q=grace+hall&sort=past",
    "two frequent words, booked last": "?q=grace+hall&sort=newest",
    "nobody's name": "?q=nobody",
}


def measure(stack: Stack) -> Iterator[Row]:
    """Rows for one database. Leaves two builders with their bookings in it."""
    with copy_of_application(stack) as app:
        with app.app_context():
            engine = db.engine
            _fill(db.session())
        many, few = (_log_in(app, slug) for slug in ("many", "few"))
        bare = bare_engine(stack.database_url)
        try:
            yield from _measure(app, engine, bare, many, few)
        finally:
            bare.dispose()


def _measure(app: Flask, engine: sa.Engine, bare: sa.Engine, many: str, few: str) -> Iterator[Row]:
    database = database_name(str(engine.url))
    bare_page = _bare_page(bare, len(get(app, PAGE, many)))
    ours, reference = processor_time(
        [partial(get, app, PAGE, many), partial(get, bare_page, "/")], [engine, bare]
    )
    what = f"{database}: bare page of 25 rows vs. bookings page with {MANY:,}"
    yield Row(what, reference, "ms", ours, 0.5, at_least=True)
    for name, query in LISTS.items():
        at_many, at_few = processor_time(
            [partial(get, app, PAGE + query, one) for one in (many, few)], [engine]
        )
        yield Row(f"{database}: bookings, {name}: {MANY:,} vs. {FEW:,}", at_many, "ms", at_few, 1.3)
    first = deep = f"{PAGE}?sort=latest"
    for _ in range(DEEP):
        deep = _next_page(get(app, deep, many).decode())
    at_deep, at_first = processor_time([partial(get, app, one, many) for one in (deep, first)], [engine])
    yield Row(f"{database}: bookings, page {DEEP + 1} vs. page 1", at_deep, "ms", at_first, 1.3)
    statements = _count_statements(engine, partial(get, app, PAGE, many))
    yield Row(f"{database}: bookings page with {MANY:,}: SQL statements", statements, "", limit=6)


def _fill(session: Session) -> None:
    like = session.scalars(sa.select(Builder).limit(1)).one()
    for slug, number in (("many", MANY), ("few", FEW)):
        make_builder(session, like, slug, "", number, utcnow())
    if session.get_bind().dialect.name == "postgresql":
        with db.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")


def _log_in(app: Flask, slug: str) -> str:
    """The cookie of a browser that is logged in and has seen a form."""
    with app.app_context(), transaction(db.session()) as session:
        account = session.scalars(sa.select(Account).where(Account.email == f"{slug}@example.com")).one()
        _, token = log_ins.add_log_in(session, account, Origin(), now=utcnow())
    client = app.test_client()
    with client.session_transaction() as kept:
        kept[COOKIE_KEY], kept.permanent = token, True
    client.get(PAGE)
    cookie = client.get_cookie("session")
    return f"session={cookie.value}" if cookie else ""


def _bare_page(engine: sa.Engine, size: int) -> Flask:
    """A Flask page with 25 rows of one query, and as many bytes as ours."""
    app = Flask("bare")
    lines = sa.Table(
        "lines",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(f"text_{number}", sa.String(40)) for number in range(8)),
    )
    lines.create(engine, checkfirst=True)
    with engine.begin() as connection:
        rows = [{f"text_{number}": f"text {number} of {row}" for number in range(8)} for row in range(1000)]
        connection.execute(lines.insert(), rows)
    template = app.jinja_env.from_string(
        "<!DOCTYPE html><html lang=en><title>Bare</title><ul>{% for row in rows %}"
        "<li>{% for text in row %}<p>{{ text }}</p>{% endfor %}{% endfor %}</ul></html>"
    )

    @app.get("/")
    def page() -> str:
        with engine.connect() as connection:
            found = connection.execute(sa.select(lines).order_by(lines.c.id).limit(25)).all()
        return template.render(rows=found).ljust(size)

    return app


def _count_statements(engine: sa.Engine, call: Callable[[], object]) -> int:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    sa.event.listen(engine, "before_cursor_execute", note)
    call()
    sa.event.remove(engine, "before_cursor_execute", note)
    return sum(not one.startswith(("BEGIN", "PRAGMA")) for one in seen)


def _next_page(text: str) -> str:
    found = re.search(r'<a[^>]*rel="next"[^>]*href="([^"]+)"', text)
    if found is None:
        raise RuntimeError("no further page")
    return found[1].replace("&amp;", "&")
