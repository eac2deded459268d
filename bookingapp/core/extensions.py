"""The Flask extensions. :mod:`bookingapp.factory` binds them to the application."""

from __future__ import annotations

from flask import Flask
from flask_compress import Compress
from flask_limiter import Limiter

from bookingapp.core.csrf import FormProtection
from bookingapp.core.visitors import visitor_address


class _Limiter(Limiter):
    """Limits stand at views, which check them themselves; before each request there are none to look for."""

    def init_app(self, app: Flask) -> None:
        """As Flask-Limiter does, without its check before each request."""
        super().init_app(app)
        app.before_request_funcs[None].remove(self._check_request_limit)


compress = Compress()
csrf = FormProtection()
limiter = _Limiter(visitor_address)
