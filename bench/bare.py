"""What our application is compared with: the least that can be served by the same server, on the same database.

``GET /page`` is a Flask view that returns a constant string. ``GET /rows`` shows 25 rows of one query and is as long as
asked for. ``POST /webhook`` checks Stripe's signature, inserts one
row and commits, and does nothing else.
"""

from __future__ import annotations

import hashlib
import hmac
import multiprocessing
import os
import sqlite3
import sys
import time

import sqlalchemy as sa
from flask import Flask, Response, request
from granian.constants import Interfaces, Loops
from granian.log import LogLevels
from granian.server import Server

from bookingapp.cli.servers import THREADS
from bookingapp.core.gateway import Gateway

PAGE = "<!DOCTYPE html><html lang=en><title>Bare</title><p>A bare page.</p></html>"
ROWS = (
    "<!DOCTYPE html><html lang=en><title>Bare</title><ul>"
    "{% for row in rows %}<li>{% for text in row %}<p>{{ text }}</p>{% endfor %}{% endfor %}</ul></html>"
)
DATABASE, SECRET = "BENCH_BARE_DATABASE", "BENCH_BARE_SECRET"


def create_app() -> Flask:
    """The application."""
    app = Flask(__name__)
    engine = bare_engine(os.environ[DATABASE])
    table = sa.Table(
        "deliveries",
        sa.MetaData(),
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("event_key", sa.String(400), unique=True),
        sa.Column("body", sa.LargeBinary),
    )
    table.metadata.create_all(engine)
    key = os.environ[SECRET].encode()

    @app.get("/page")
    def page() -> str:
        return PAGE

    lines = sa.Table(
        "lines",
        table.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        *(sa.Column(f"text_{number}", sa.String(40)) for number in range(8)),
    )
    lines.create(engine, checkfirst=True)
    with engine.begin() as connection:
        rows = [{f"text_{number}": f"text {number} of {row}" for number in range(8)} for row in range(1000)]
        connection.execute(lines.insert(), rows)

    query, template = sa.select(lines).order_by(lines.c.id).limit(25), app.jinja_env.from_string(ROWS)

    @app.get("/rows")
    def rows_page() -> str:
        # What only reads takes no lock here either, and a template is compiled once.
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            found = connection.execute(query).all()
        return template.render(rows=found).ljust(request.args.get("bytes", 0, type=int))

    @app.post("/webhook")
    def webhook() -> Response:
        body = request.get_data(cache=False)
        parts = dict(part.split("=", 1) for part in request.headers["Stripe-Signature"].split(","))
        expected = hmac.new(key, parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
        if not hmac.compare_digest(expected, parts["v1"]) or abs(time.time() - int(parts["t"])) > 300:
            return Response(status=401)
        with engine.connect() as connection:
            connection.execute(table.insert().values(event_key=hashlib.sha256(body).hexdigest(), body=body))
            connection.commit()
        return Response(status=200)

    return app


def bare_engine(url: str) -> sa.Engine:
    """A database as ours is set up, and nothing around it."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://", 1), pool_size=THREADS)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _as_ours)
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    return engine


def _as_ours(connection: sqlite3.Connection, _record: object) -> None:
    """The settings of bookingapp/core/db.py."""
    connection.isolation_level = None
    for pragma in ("busy_timeout=5000", "journal_mode=wal", "synchronous=full", "foreign_keys=on"):
        connection.execute(f"pragma {pragma}")


if __name__ == "__main__":
    # As ``flask serve`` does it.
    multiprocessing.set_start_method("fork" if sys.platform == "linux" else "spawn")
    Server(
        "bench.bare",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.RSGI,
        loop=Loops.auto,
        websockets=False,
        workers=1,
        log_level=LogLevels.error,
    ).serve(target_loader=lambda _: Gateway(create_app(), THREADS))
