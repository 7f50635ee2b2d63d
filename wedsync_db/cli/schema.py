"""The verb that looks at the schema as a whole: what leaks or is slow in it, and its documentation."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from wedsync_db.cli.answer import Answer
from wedsync_db.errors import UsageError, WedsyncError
from wedsync_db.installation import Installation
from wedsync_db.model import Severity


def schema(arguments: argparse.Namespace, installation: Installation) -> Answer:
    """Check a database's catalog, or what a folder of migrations makes; write the documentation where that is asked."""
    from wedsync_db.report.findings import finding_json, finding_text
    from wedsync_db.report.markdown import counted
    from wedsync_db.schema.checks import check_schema

    if bool(arguments.environment) == bool(arguments.dir):
        hint = "`schema staging`, or `schema --dir migrations`"
        raise UsageError("schema takes an environment or --dir DIR", hint=hint)
    with _opened(arguments, installation) as (connection, folder):
        found = check_schema(connection)
        if arguments.document:
            _write(Path(arguments.document), _document(connection, folder, arguments))
    counts = {s: sum(f.severity is s for f in found) for s in Severity}
    text = "\n".join([*map(finding_text, found), ", ".join(counted(n, s.value) for s, n in counts.items())])
    return Answer(text, {"findings": [finding_json(f) for f in found]}, 1 if counts[Severity.ERROR] else 0)


@contextmanager
def _opened(arguments: argparse.Namespace, installation: Installation) -> Iterator[tuple[psycopg.Connection, Path]]:
    """A session with the database in question, and the folder of its migrations."""
    from wedsync_db.postgres.session import session
    from wedsync_db.schema.built import built

    if arguments.dir:
        with built(Path(arguments.dir), arguments.major, installation.home.ensure().scratch) as connection:
            yield connection, Path(arguments.dir)
        return
    environment = installation.environment(arguments.environment)
    with installation.target(environment.name) as address, session(address, "schema") as connection:
        yield connection, environment.migrations


def _document(connection: psycopg.Connection, folder: Path, arguments: argparse.Namespace) -> str:
    from wedsync_db.migrate.files import read_migrations
    from wedsync_db.schema.catalog import read_catalog
    from wedsync_db.schema.document import document
    from wedsync_db.schema.modules import modules_of

    migrations, _ = read_migrations(folder)
    source = arguments.environment or f"--dir {arguments.dir}"
    command = f"./dev schema {source} --document {arguments.document}"
    return document(read_catalog(connection), modules_of(migrations), command=command)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise WedsyncError(
            f"{path} cannot be written: {error.strerror}", hint="Give --document another file."
        ) from None
