"""``python -m tests.endurance.echo wsgi|gateway PORT``: what an application is told by granian's WSGI, and by us."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from granian.constants import Interfaces
from granian.log import LogLevels
from granian.server import Server

from bookingapp.core import gateway
from bookingapp.core.bodies import FAILURE

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

SLOW_SECONDS = 2.0
CLOSED = "the stream was closed"


class Endless:
    """A stream that ends when nobody reads it."""

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"more\n"
            time.sleep(0.05)

    def close(self) -> None:
        sys.stdout.write(CLOSED)
        sys.stdout.flush()


def app(environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
    """The environment as JSON, and some other answers."""
    path = environ["PATH_INFO"]
    if path == "/slow":
        time.sleep(SLOW_SECONDS)  # A fixed pause: a request that is under way when the server is told to end.
    if path == "/broken":
        raise ValueError(path)
    if path == "/bad-header":
        start("200 OK", [("Content-Length", "0"), ("X-Number", 1)])  # type: ignore[list-item]
        return []
    if path == "/endless":
        start("200 OK", [("Content-Type", "text/plain")])
        return Endless()
    if path == "/empty":
        start("204 No Content", [("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")])
        return []
    said = {
        name: str(value)
        for name, value in environ.items()
        if name not in os.environ and (name.isupper() or name in ("wsgi.url_scheme", FAILURE))
    }
    body = environ["wsgi.input"].read(1_000_000).decode("latin-1")
    data = json.dumps(said | {"body": body}).encode()
    start("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return iter([data])


if __name__ == "__main__":
    is_wsgi, port = sys.argv[1] == "wsgi", int(sys.argv[2])
    Server(
        "tests.endurance.echo:app",
        port=port,
        interface=Interfaces.WSGI if is_wsgi else Interfaces.RSGI,
        blocking_threads=4 if is_wsgi else None,
        websockets=False,
        log_level=LogLevels.error,
        workers_kill_timeout=20,
    ).serve(target_loader=None if is_wsgi else partial(gateway.load, threads=4))
