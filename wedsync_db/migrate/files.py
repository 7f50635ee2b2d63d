"""The migrations on disk: a folder of folders, read without ever stopping at the first bad one.

    NNNN_name/            four digits, then a lower-case name of letters, digits and underscores
        deploy.sql        required; its header lines are described in header.py
        revert.sql        undoes it
        verify.sql        asks whether it worked: every statement is run; one that raises fails, and so does a SELECT
                          whose first row's first column is false or NULL, or that returns no row
        lossless.sql      one SELECT of one number: how many rows or values a revert would lose now, 0 for none

Whatever cannot be read becomes a finding. A migration whose SQL cannot be parsed is kept, without statements, so that
what else is wrong with the set can be said at the same time; its finding is an error and stops every plan it is in. A
revert.sql that cannot be parsed counts as none, so that nobody takes it for one that has nothing to do; neither does
one count whose lossless.sql cannot be parsed.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from wedsync_db.errors import PlanError
from wedsync_db.migrate.header import ID, Header, HeaderProblem, read_header
from wedsync_db.model import Finding, Migration, Script, Severity
from wedsync_db.postgres.excerpt import excerpt, position
from wedsync_db.postgres.parse import Parsed, SyntaxProblem, parse

SCRIPTS = ("deploy.sql", "revert.sql", "verify.sql", "lossless.sql")

Findings = tuple[Finding, ...]


def read_migrations(folder: Path) -> tuple[tuple[Migration, ...], Findings]:
    """Every migration of a folder by number, and what is wrong with the files.

    Raises:
        PlanError: there is no such folder, or it cannot be listed.
    """
    found: list[Migration] = []
    findings: list[Finding] = []
    for path in _listed(folder):
        if path.name == "README.md":
            continue
        if not path.is_dir():
            findings.append(_stray(path))
        elif not ID.fullmatch(path.name):
            findings.append(_bad_name(path))
        else:
            migration, said = _migration(path)
            found += [migration] if migration else []
            findings += said
    return tuple(found), (*findings, *_duplicates(found))


def _listed(folder: Path) -> list[Path]:
    try:
        return _entries(folder)
    except OSError as error:
        raise PlanError(
            f"the migrations folder {folder} cannot be read: {error.strerror}",
            hint="make the first migration with `new NAME`, or name the folder in environments.toml",
        ) from None


def _entries(folder: Path) -> list[Path]:
    return sorted((p for p in folder.iterdir() if not p.name.startswith(".")), key=lambda p: p.name)


# -- one migration -----------------------------------------------------------------------------------------------------
def _migration(folder: Path) -> tuple[Migration | None, Findings]:
    try:
        entries = _entries(folder)
    except OSError as error:
        return None, (_unreadable(folder, folder.name, error),)
    present = {p.name: _script(p) for p in entries if p.name in SCRIPTS}
    findings = [f for _, said in present.values() for f in said]
    findings += [_unknown_file(p) for p in entries if p.name not in SCRIPTS]
    scripts = _usable({name: script for name, (script, _) in present.items()})
    if "deploy.sql" not in scripts:
        return None, (*findings, *(() if "deploy.sql" in present else (_no_deploy(folder),)))
    header, problems = read_header(scripts["deploy.sql"].text)
    findings += [_header_finding(p, folder / "deploy.sql") for p in problems]
    return _built(folder.name, header, scripts), tuple(findings)


def _built(name: str, header: Header, scripts: dict[str, Script]) -> Migration:
    return Migration(
        id=name,
        number=int(name[:4]),
        requires=header.requires,
        transactional=header.transactional,
        loses=header.loses,
        deploy=scripts["deploy.sql"],
        revert=scripts.get("revert.sql"),
        verify=scripts.get("verify.sql"),
        lossless=scripts.get("lossless.sql"),
    )


def _usable(present: dict[str, Script | None]) -> dict[str, Script]:
    """The scripts there are. A revert is not one of them when it, or what tells its losses, could not be parsed."""
    broken = {name for name, script in present.items() if script is None or not script.tree_hash}
    untold = {"revert.sql"} if broken & {"revert.sql", "lossless.sql"} else set()
    return {name: script for name, script in present.items() if script and name not in untold}


def _script(path: Path) -> tuple[Script | None, Findings]:
    migration = path.parent.name
    try:
        # a pipe or a device under that name would be read for ever
        data = path.read_bytes() if path.is_file() else None
    except OSError as error:
        return None, (_unreadable(path, migration, error),)
    if data is None:
        return None, (_unreadable(path, migration, None),)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, (_not_utf8(path, migration, error),)
    parsed, findings = _parsed(text, path)
    return Script(path, text, hashlib.sha256(data).hexdigest(), parsed.tree_hash, parsed.statements), findings


def _parsed(text: str, path: Path) -> tuple[Parsed, Findings]:
    try:
        return parse(text, path), ()
    except SyntaxProblem as problem:
        return Parsed((), ""), (problem.finding(path.parent.name),)


# -- what can be wrong -------------------------------------------------------------------------------------------------
def _stray(path: Path) -> Finding:
    if path.is_symlink() and not path.exists():
        return _error("unreadable", path, None, "a link that leads nowhere", "mend it or remove it")
    if path.suffix.lower() == ".sql":
        return _error("stray-file", path, None, "SQL outside a migration's folder is not run", "NNNN_name/deploy.sql")
    return _warning("stray-file", path, None, "not a migration's folder; it is not looked at", "move it elsewhere")


def _bad_name(path: Path) -> Finding:
    hint = "four digits, an underscore, then lower-case letters, digits and underscores: 0001_tenancy"
    return _error("name", path, None, "the folder's name is no migration's name", hint)


def _unknown_file(path: Path) -> Finding:
    hint = f"a migration holds {', '.join(SCRIPTS)}"
    return _warning("stray-file", path, path.parent.name, "no file of a migration; it is not looked at", hint)


def _no_deploy(folder: Path) -> Finding:
    return _error("no-deploy", folder, folder.name, "there is no deploy.sql", "write it, or remove the folder")


def _unreadable(path: Path, migration: str, error: OSError | None) -> Finding:
    why = (error.strerror if error else None) or "not a regular file"
    return _error("unreadable", path, migration, f"cannot be read: {why}", "mend the file or its permissions")


def _not_utf8(path: Path, migration: str, error: UnicodeDecodeError) -> Finding:
    text = error.object.decode("utf-8", errors="replace")
    offset = len(error.object[: error.start].decode("utf-8"))
    line, column = position(text, offset)
    return Finding(
        "encoding",
        Severity.ERROR,
        f"not UTF-8: byte 0x{error.object[error.start]:02x}",
        hint="save the file as UTF-8",
        migration=migration,
        path=path,
        line=line,
        column=column,
        excerpt=excerpt(text, offset),
    )


def _header_finding(problem: HeaderProblem, path: Path) -> Finding:
    return Finding(
        "header",
        Severity.ERROR,
        problem.message,
        hint=problem.hint,
        migration=path.parent.name,
        path=path,
        line=problem.line,
        column=problem.column,
        excerpt=problem.excerpt,
    )


def _duplicates(migrations: Iterable[Migration]) -> list[Finding]:
    by_number: dict[int, list[Migration]] = defaultdict(list)
    for migration in migrations:
        by_number[migration.number].append(migration)
    hint = "give the one that is not deployed anywhere yet the next free number"
    return [
        _error("duplicate", m.deploy.path.parent, m.id, f"the number {number:04} is taken by {others[0].id}", hint)
        for number, others in sorted(by_number.items())
        for m in others[1:]
    ]


def _error(rule: str, path: Path, migration: str | None, message: str, hint: str) -> Finding:
    return Finding(rule, Severity.ERROR, message, hint=hint, migration=migration, path=path)


def _warning(rule: str, path: Path, migration: str | None, message: str, hint: str) -> Finding:
    return Finding(rule, Severity.WARNING, message, hint=hint, migration=migration, path=path)
