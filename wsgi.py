"""The WSGI application, ``wsgi:app``, and the ``flask --app wsgi`` commands."""

import gc

# What is imported stays. To search it for garbage takes a fifth of the time that a process needs to start.
gc.disable()

from bookingapp.cli import register
from bookingapp.core.settings import SettingsError
from bookingapp.factory import create_app

gc.freeze()
gc.enable()

try:
    app = create_app()
except SettingsError as error:
    # One line and no traceback: it names the setting and shows no value.
    raise SystemExit(f"bookingapp cannot start: {error}") from None

register(app)
