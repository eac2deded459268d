"""The WSGI application, ``wsgi:app``, and the ``flask --app wsgi`` commands."""

from bookingapp.cli import register
from bookingapp.core.settings import SettingsError
from bookingapp.factory import create_app

try:
    app = create_app()
except SettingsError as error:
    # One line and no traceback: it names the setting and shows no value.
    raise SystemExit(f"bookingapp cannot start: {error}") from None

register(app)
