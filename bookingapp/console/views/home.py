"""The console's first page."""

from __future__ import annotations

from flask import render_template

from bookingapp.console.views.blueprint import blueprint


@blueprint.get("")
def index() -> str:
    """What needs a person."""
    return render_template("console/index.html")
