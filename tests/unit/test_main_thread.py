"""Steps of a deployment run in the flow's own thread: a signal reaches no other, and its work would go on after it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_ELSEWHERE = {"submit", "map", "delay", "serve"}  # what Prefect runs a task or a flow in another thread or process with


def elsewhere(source: str) -> list[str]:
    """Calls that run something in another thread, as `line: name`."""
    return [
        f"{node.lineno}: {node.func.attr}"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _ELSEWHERE
    ]


FILES = sorted([*(ROOT / "flows").glob("*.py"), *(ROOT / "tasks").glob("*.py")])


@pytest.mark.parametrize("path", FILES, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_no_step_runs_in_another_thread(path):
    assert elsewhere(path.read_text()) == []


def test_what_would_be_found():
    assert elsewhere("a = migrate.submit(1)\nb = migrate.map([1])\nmap(len, [a])\n") == ["1: submit", "2: map"]
