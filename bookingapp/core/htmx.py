"""The few htmx headers that this application uses, each under a name."""

from __future__ import annotations

from flask import Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse


def is_htmx() -> bool:
    """Whether htmx asks for a fragment. A boosted or history request wants the whole page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def vary_on_htmx(response: Response) -> Response:
    """Tell caches that this URL has two bodies. Both of them have to carry it."""
    response.vary.add("HX-Request")
    return response


def see_other(location: str) -> BaseResponse:
    """Send the browser on after a write: 303, or ``HX-Redirect`` where htmx asked.

    A 3xx would be followed inside the request and its headers lost, so htmx is answered 204.
    """
    if is_htmx():
        return Response(status=204, headers={"HX-Redirect": location})
    return redirect(location, code=303)
