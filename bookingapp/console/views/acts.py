"""The record of what operators did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from flask import render_template, request, url_for

from bookingapp.accounts.service import list_operators
from bookingapp.console import acts
from bookingapp.console.models import ActCode, OperatorAct, SubjectKind
from bookingapp.console.views.blueprint import blueprint, id_argument, id_before
from bookingapp.console.words.acts import ACTS, SUBJECTS, describe_facts, name_subject
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
    lines = found[:PER_PAGE]
    subjects = acts.load_subjects(db.session(), [line.act for line in lines])
    return render_template(
        "console/acts.html",
        lines=[(line, *_subject(line.act, subjects)) for line in lines],
        before=before,
        next_before=lines[-1].act.id if len(found) > PER_PAGE else None,
        search=search,
        operators=[(one.id, one.name) for one in list_operators(db.session())],
        builders=acts.list_builders(db.session()),
        acts=[(code, words.past) for code, words in ACTS.items()],
        words=ACTS,
        kinds=SUBJECTS,
        facts=describe_facts,
    )


# The page of each kind, and what its key is called there.
_PAGES: Final[Mapping[SubjectKind, tuple[str, str | None]]] = {
    SubjectKind.APPLICATION: ("operator.applications", None),
    SubjectKind.BOOKING: ("operator.booking", "tracking_id"),
    SubjectKind.BUILDER: ("operator.builder", "slug"),
    SubjectKind.DELIVERY: ("operator.delivery", "delivery_id"),
    SubjectKind.INVITATION: ("operator.invitations", None),
    SubjectKind.JOB: ("operator.jobs", None),
    SubjectKind.UNATTACHED: ("operator.builder", "slug"),
}


def _subject(
    act: OperatorAct, subjects: Mapping[tuple[SubjectKind, int], acts.Subject]
) -> tuple[str, str | None]:
    """The name of what an act was done to, and the address of its page where there is one."""
    subject = subjects.get((act.subject_kind, act.subject_id))
    endpoint, argument = _PAGES[act.subject_kind]
    name = name_subject(act.subject_kind, act.subject_id, subject, act.facts)
    if subject is None:
        return name, None
    values: dict[str, Any] = {argument: subject.key} if argument else {}
    return name, url_for(endpoint, **values)
