"""Processes that read one page and are killed in the middle of it: the first at its first statement, the next at its
second, until one has read the page. After each one a line of output says how it ended (``killed``, or the status of
the answer), and a line of input lets the next one begin.
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
from pathlib import Path

import sqlalchemy as sa
from flask import Flask

from bookingapp.core.db import db
from bookingapp.factory import create_app
from tests.conftest import make_settings


def main(database_url: str, folder: str, path: str) -> None:
    """Read the page ``path`` until one reader survives."""
    app = create_app(make_settings(Path(folder), database_url=database_url))
    for number in itertools.count(1):
        reader = os.fork()
        if reader == 0:
            _read(app, path, dies_at=number)
        _, ended = os.waitpid(reader, 0)
        how = "killed" if os.WIFSIGNALED(ended) else str(os.WEXITSTATUS(ended) * 10)
        sys.stdout.write(f"{how}\n")
        sys.stdout.flush()
        if how != "killed" or not sys.stdin.readline():
            return


def _read(app: Flask, path: str, *, dies_at: int) -> None:
    steps = itertools.count(1)

    def step(*_: object) -> None:
        if next(steps) == dies_at:
            os.kill(os.getpid(), signal.SIGKILL)

    with app.app_context():
        for event in ("before_cursor_execute", "after_cursor_execute", "commit"):
            sa.event.listen(db.engine, event, step)
    status = app.test_client().get(path).status_code
    # An exit status has eight bits.
    os._exit(status // 10)


if __name__ == "__main__":
    main(*sys.argv[1:])
