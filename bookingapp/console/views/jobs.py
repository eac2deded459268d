"""Jobs that were given up, and running one again."""

from __future__ import annotations

from flask import render_template, request, url_for
from werkzeug.wrappers import Response as BaseResponse

from bookingapp.console import jobs as service
from bookingapp.console import work_acts
from bookingapp.console.models import ActCode
from bookingapp.console.places import read_place, write_place
from bookingapp.console.views.act_page import committed, offer_act, with_way_back
from bookingapp.console.views.blueprint import blueprint
from bookingapp.console.words.attention import job_title
from bookingapp.core.db import db
from bookingapp.core.i18n import gettext
from bookingapp.dashboard.words import deliveries as words
from bookingapp.operations.words import describe

PER_PAGE = 25


@blueprint.get("/jobs", endpoint="jobs")
def list_() -> str:
    """Those that were given up, the newest first; with ``state=open`` those that the worker has still to run."""
    after, is_open = read_place(request.args.get("after", "")), request.args.get("state") == "open"
    found = service.list_jobs(db.session(), is_open=is_open, after=after, limit=PER_PAGE + 1)
    last = found[PER_PAGE - 1].job if len(found) > PER_PAGE else None
    return render_template(
        "console/jobs.html",
        jobs=found[:PER_PAGE],
        after=after,
        next_place=write_place(last.run_at, last.id) if last else None,
        chosen="open" if is_open else "dead",
        choices=[("dead", gettext("Given up")), ("open", gettext("Still to run"))],
        labels=service.STATE_LABELS,
        attempts=words.describe_attempts,
        title=job_title,
        with_way_back=with_way_back,
        outcome=describe,
    )


@blueprint.route("/jobs/<int:job_id>/retry", methods=["GET", "POST"])
def retry_job(job_id: int) -> BaseResponse:
    """Let the worker run a dead job again."""
    job = service.get_job(db.session(), job_id)
    perform = committed(lambda session, decision: work_acts.retry_job(session, job_id, decision))
    return offer_act(ActCode.JOB_RETRIED, perform, about=job_title(job.name), back=url_for(".jobs"))
