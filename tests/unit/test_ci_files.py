"""The workflow files in docs/ci run commands that there are."""

from __future__ import annotations

import re
import shlex

import pytest
import yaml

from wedsync_db.cli.parser import build_parser
from wedsync_db.installation import CHECKOUT

FILES = sorted((CHECKOUT / "docs" / "ci").glob("*.yml"))


def commands(value):
    """Every line of the file that calls ./dev."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [command for item in value for command in commands(item)]
    return [value] if isinstance(value, str) and value.startswith("./dev ") else []


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_command_is_one(file):
    found = commands(yaml.safe_load(file.read_text()))
    assert len(found) >= 3
    for command in found:
        plain = re.sub(r"\$\{\{.*?\}\}", "staging", command)
        build_parser().parse_args(shlex.split(plain)[1:])
