"""The parameters of Stripe's API: decoded from ``a[b][0][c]=v``, and checked."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bookingapp.sandbox.store import Document
from bookingapp.sandbox.stripe.errors import StripeApiError, unknown_parameter
from bookingapp.sandbox.stripe.money import smallest_step

_PARTS = re.compile(r"\[([^\[\]]*)\]")
# Stripe docs, Metadata.
MOST_METADATA, LONGEST_METADATA_KEY, LONGEST_METADATA_VALUE = 50, 40, 500


def decode_parameters(pairs: Iterable[tuple[str, str]]) -> Document:
    """Nested values from flat pairs.

    Maps whose keys are all numbers become lists, in the order of the numbers; ``a[]=v`` appends.
    """
    tree: Document = {}
    for name, value in pairs:
        head, bracket, _ = name.partition("[")
        path = [head, *_PARTS.findall(name[len(head) :])] if bracket else [name]
        _insert(tree, path, value)
    return {key: _with_lists(value) for key, value in tree.items()}


def _insert(tree: Document, path: list[str], value: str) -> None:
    node = tree
    for index, part in enumerate(path):
        key = part if part or index == 0 else str(len(node))
        if index == len(path) - 1:
            node[key] = value
            return
        inner = node.get(key)
        if not isinstance(inner, dict):
            inner = node[key] = {}
        node = inner


def _with_lists(node: Any) -> Any:
    if not isinstance(node, dict):
        return node
    if node and all(key.isdigit() for key in node):
        return [_with_lists(node[key]) for key in sorted(node, key=int)]
    return {key: _with_lists(value) for key, value in node.items()}


def allow_only(given: Document, allowed: set[str], prefix: str = "") -> None:
    """Refuse unknown parameters.

    Raises:
        StripeApiError: 400 ``parameter_unknown``.
    """
    for name in given:
        if name not in allowed:
            raise unknown_parameter(f"{prefix}[{name}]" if prefix else name)


def parse_integer(value: Any, name: str) -> int:
    """A whole number.

    Raises:
        StripeApiError: 400 ``parameter_invalid_integer``.
    """
    try:
        return int(str(value))
    except ValueError:
        message = f"Invalid integer: {value}"
        raise StripeApiError(message, code="parameter_invalid_integer", param=name) from None


def parse_metadata(given: Any, name: str) -> dict[str, str]:
    """Metadata within Stripe's limits.

    Raises:
        StripeApiError: too many keys, or a key or value that is too long.
    """
    if given in (None, ""):
        return {}
    if not isinstance(given, dict):
        raise StripeApiError("Invalid hash", code="parameter_invalid_empty", param=name)
    if len(given) > MOST_METADATA:
        raise StripeApiError(f"You can specify up to {MOST_METADATA} keys in metadata.", param=name)
    for key, value in given.items():
        if len(key) > LONGEST_METADATA_KEY:
            message = f"Metadata keys can be at most {LONGEST_METADATA_KEY} characters long."
            raise StripeApiError(message, param=name)
        if len(str(value)) > LONGEST_METADATA_VALUE:
            message = f"Metadata values can be at most {LONGEST_METADATA_VALUE} characters long."
            raise StripeApiError(message, param=f"{name}[{key}]")
    return {key: str(value) for key, value in given.items()}


def check_step(amount: int, currency: str, param: str) -> None:
    """Refuse an amount with decimals that its currency does not have.

    Raises:
        StripeApiError: 400 ``parameter_invalid_integer``.
    """
    if amount % smallest_step(currency):
        message = f"Invalid amount: {currency} amounts must be a multiple of {smallest_step(currency)}."
        raise StripeApiError(message, code="parameter_invalid_integer", param=param)
