"""Stripe's form bodies: ``a[b][0][c]=v`` as nested maps and lists."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from bookingapp.sandbox.store import Document

_PARTS = re.compile(r"\[([^\[\]]*)\]")


def decode(pairs: Iterable[tuple[str, str]]) -> Document:
    """Nested values from flat pairs.

    Maps whose keys are all numbers become lists, in the order of the numbers; ``a[]=v`` appends.
    """
    tree: Document = {}
    for name, value in pairs:
        head, bracket, _ = name.partition("[")
        path = [head, *_PARTS.findall(name[len(head) :])] if bracket else [name]
        _insert(tree, path, value)
    decoded = _with_lists(tree)
    return decoded if isinstance(decoded, dict) else tree


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


def _with_lists(node: Any, depth: int = 0) -> Any:
    if not isinstance(node, dict):
        return node
    if depth and node and all(key.isdigit() for key in node):
        return [_with_lists(node[key], depth + 1) for key in sorted(node, key=int)]
    return {key: _with_lists(value, depth + 1) for key, value in node.items()}
