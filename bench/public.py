"""Processor time of the public pages, beside a bare Flask page of the same size with one query on the same database."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from bench import served
from bench.bare import bare_engine
from bench.calendly import CARDS
from bench.directory import bare_page
from bench.pages import copy_of_application, get, processor_time
from bench.stack import Stack, database_name
from bench.table import Row
from bookingapp.core.db import db

PAGES = {
    "directory": "/",
    "profile": "/builders/ada-okonkwo",
    "cards page": CARDS,
    "booking form": f"{CARDS}/ETADACONSULT0060",
}


def measure(stack: Stack) -> Iterator[Row]:
    """Rows for one database with the demo's three builders."""
    yield from served.measure(stack)
    database, bare = database_name(stack.database_url), bare_engine(stack.database_url)
    try:
        with copy_of_application(stack) as app:
            with app.app_context():
                engine = db.engine
            for name, path in PAGES.items():
                page = bare_page(bare, len(get(app, path)))
                ours, reference = processor_time(
                    [partial(get, app, path), partial(get, page, "/")], [engine, bare]
                )
                what = f"{database}: bare Flask page with one query vs. {name}"
                yield Row(what, reference, "ms", ours, 0.6, at_least=True)
    finally:
        bare.dispose()
