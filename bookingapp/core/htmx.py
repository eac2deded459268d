"""The htmx headers of requests and responses."""

from __future__ import annotations

from flask import Response, redirect, request
from werkzeug.wrappers import Response as BaseResponse


def is_htmx() -> bool:
    """Whether htmx asks for a fragment. A boosted or history request needs the whole page."""
    headers = request.headers
    return (
        headers.get("HX-Request") == "true"
        and headers.get("HX-Boosted") != "true"
        and headers.get("HX-History-Restore-Request") != "true"
    )


def vary_on_htmx(response: Response) -> Response:
    """Make caches keep page and fragment of one URL apart. Both responses need this header."""
    response.vary.add("HX-Request")
    return response


def see_other(location: str) -> BaseResponse:
    """Redirect after a write: 303, or for htmx a 204 with ``HX-Redirect``, because a 3xx would be followed inside of
    its request.
    """
    if is_htmx():
        return Response(status=204, headers={"HX-Redirect": location})
    return redirect(location, code=303)
