"""The record of what operators did."""

from __future__ import annotations

from flask import render_template, request

from bookingapp.console import acts
from bookingapp.console.models import ActCode
from bookingapp.console.views.blueprint import blueprint, id_argument, id_before
from bookingapp.console.words.acts import ACTS, SUBJECTS, describe_facts
from bookingapp.core.db import db
from bookingapp.text import read_code

PER_PAGE = 25


@blueprint.get("/acts", endpoint="acts")
def list_() -> str:
    """The newest acts first; ``operator``, ``builder`` and ``act`` narrow the list."""
    act, before = request.args.get("act", ""), id_before()
    search = acts.ActSearch(
        operator_id=id_argument("operator"),
        builder_id=id_argument("builder"),
        act=read_code(ActCode, act),
    )
    found = acts.list_acts(db.session(), search, before=before, limit=PER_PAGE + 1)
    return render_template(
        "console/acts.html",
        lines=found[:PER_PAGE],
        before=before,
        next_before=found[PER_PAGE - 1].act.id if len(found) > PER_PAGE else None,
        search=search,
        operators=acts.list_operators(db.session()),
        builders=acts.list_builders(db.session()),
        acts=[(code, words.past) for code, words in ACTS.items()],
        words=ACTS,
        subjects=SUBJECTS,
        facts=describe_facts,
    )
