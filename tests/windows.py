"""Windows of a browser that is logged in already, on the application of this process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from playwright.sync_api import Browser, Page
from werkzeug.serving import make_server

from bookingapp.core.settings import Settings
from tests.browsers import open_page
from tests.conftest import make_settings
from tests.live import app_url
from tests.pages import PageClient

__all__ = ["Open", "app_url", "settings", "windows_of"]

Open = Callable[..., Page]


@pytest.fixture
def settings(tmp_path: Path, database_url: str, app_url: str) -> Settings:
    """Settings of an application that browsers reach."""
    return make_settings(tmp_path, database_url=database_url, public_url=app_url)


@contextmanager
def windows_of(client: PageClient, app: Flask, app_url: str, chromium: Browser) -> Iterator[Open]:
    """Opens windows with the log-in of ``client``."""
    server = make_server("127.0.0.1", int(app_url.rpartition(":")[2]), app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    cookie, opened = client.get_cookie("session"), []
    assert cookie is not None

    def do(**options: object) -> Page:
        page = open_page(chromium, app_url, **options)
        page.context.add_cookies([{"name": "session", "value": cookie.value, "url": app_url}])
        opened.append(page)
        return page

    yield do
    for page in opened:
        page.context.close()
    server.shutdown()
    thread.join(timeout=5)
    server.server_close()
