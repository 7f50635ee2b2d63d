"""The verbs and their options."""

from __future__ import annotations

import argparse

_EXIT_CODES = """exit codes:
  0  done
  1  failed; the database is as it was before
  2  wrong usage: the command, a file or a setting
  3  refused by a guard; nothing was touched
  4  a person is needed: going on or back would lose something
  5  it could not be judged, so it does not pass"""

_HEALTH_CODES = """exit codes, those of monitoring plugins:
  0  healthy
  1  degraded, or something could not be looked at
  2  unhealthy
  3  unknown: nothing could be looked at, or wrong usage"""


def build_parser() -> argparse.ArgumentParser:
    """The whole command line; each verb takes --json."""
    parser = argparse.ArgumentParser(
        prog="wedsync-db",
        description="Change a live PostgreSQL database safely.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    _looking(verbs)
    _changing(verbs)
    _backups(verbs)
    _own(verbs)
    return parser


_Verbs = argparse._SubParsersAction  # noqa: SLF001 argparse has no public name for what add_subparsers returns


def _verb(
    verbs: _Verbs[argparse.ArgumentParser], name: str, help_text: str, *, env: bool = True
) -> argparse.ArgumentParser:
    parser = verbs.add_parser(
        name,
        help=help_text,
        description=help_text,
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    if env:
        parser.add_argument("environment", metavar="ENV", help="a target, as environments.toml names it")
    parser.add_argument("--json", action="store_true", help="answer as JSON")
    return parser


def _looking(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    _verb(verbs, "doctor", "Is everything ready for a first deployment? Changes nothing.")
    _verb(verbs, "status", "What is applied, pending and wrong; who holds the database; what a cancellation would do.")
    _verb(verbs, "plan", "What a deployment would do. Changes nothing.")
    health = _verb(verbs, "health", "Is the database well, now? Each check with its evidence. Changes nothing.")
    health.epilog = _HEALTH_CODES
    metrics = _verb(
        verbs, "metrics", "Measure the server now, as OpenMetrics text for a Prometheus. Changes nothing.", env=False
    )
    metrics.add_argument("environment", metavar="ENV", nargs="?", help="a target, as environments.toml names it")
    metrics.add_argument(
        "--tier",
        choices=("fast", "tables", "sizes", "nightly"),
        action="append",
        help="what to measure; may be repeated (default: fast)",
    )
    metrics.add_argument("--dashboard", action="store_true", help="print a dashboard for Grafana instead")
    metrics.add_argument(
        "--rules", action="store_true", help="print the alerting rules for a Prometheus instead, by ENV's limits"
    )
    silence = _verb(verbs, "silence", "Tell nobody of an alert for a while.")
    silence.add_argument("rule", metavar="RULE", help="a health check's name, or a pattern as a shell's: `cache_*`")
    silence.add_argument("--for", dest="duration", metavar="TIME", required=True, help="30m, 2h or 7d; at most 30d")
    silence.add_argument("--reason", metavar="TEXT", required=True, help="why; shown to others")
    silence.add_argument(
        "--subject", metavar="PATTERN", default="*", help="only about this table, slot or session (default: all)"
    )
    report = _verb(verbs, "report", "The daily report as one page: how it is, what changed, what needs somebody.")
    report.add_argument("--days", metavar="N", type=int, default=7, help="how many days the pictures show (default 7)")
    report.add_argument("--output", metavar="FILE", help="write the page there (default: below the state folder)")
    lint = _verb(verbs, "lint", "Hazards in migration files, with the safe rewrite.", env=False)
    lint.add_argument("folder", metavar="DIR", nargs="?", default="migrations")
    rehearse = _verb(
        verbs, "rehearse", "Prove pending migrations on a scratch server; the target is only backed up.", env=False
    )
    rehearse.add_argument("environment", metavar="ENV", nargs="?")
    rehearse.add_argument("--dir", metavar="DIR", help="prove a folder of migrations from an empty database instead")
    rehearse.add_argument(
        "--major", type=int, default=18, help="with --dir: the PostgreSQL to prove them on (default 18)"
    )
    schema = _verb(
        verbs, "schema", "What leaks between tenants or is slow, by the catalog. Changes nothing.", env=False
    )
    schema.add_argument("environment", metavar="ENV", nargs="?")
    schema.add_argument("--dir", metavar="DIR", help="look at what a folder of migrations makes instead")
    schema.add_argument("--major", type=int, default=18, help="with --dir: the PostgreSQL to make it on (default 18)")
    schema.add_argument("--document", metavar="FILE", help="write the schema's documentation, in Markdown")


def _changing(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    deploy = _verb(verbs, "deploy", "Deploy pending migrations: prove them first, roll back on any failure.")
    deploy.add_argument("--yes", action="store_true", help="approve the plan in advance")
    deploy.add_argument(
        "--override", metavar="RULE=REASON", action="append", default=[], help="override a guard's rule; recorded"
    )
    deploy.add_argument(
        "--remote", action="store_true", help="run it on the Prefect server's worker, and follow it from here"
    )
    deploy.add_argument("--key", metavar="KEY", help="with --remote: the same key is the same run, never a second one")
    revert = _verb(verbs, "revert", "Revert applied migrations, newest first, down to one that stays.")
    revert.add_argument("--to", metavar="ID", required=True, help="the migration that stays the newest; 0 for none")
    revert.add_argument("--accept-loss", metavar="ENV", help="type the environment's name to accept the loss shown")
    _reason(revert)
    _verb(verbs, "recover", "Finish or undo an interrupted deployment. Doing it twice changes nothing.")
    maintain = _verb(verbs, "maintain", "A night's work now: back up, then freeze, vacuum and analyze what needs it.")
    maintain.add_argument(
        "--budget", metavar="MINUTES", type=int, help="time for the work (default: the environment's own)"
    )
    load = _verb(verbs, "load-test", "Does it hold so many users? In a database of its own beside the target.")
    load.add_argument("scenario", metavar="SCENARIO", help="one of ours (users_1000, …), or the path of a file")
    load.add_argument("--pool", metavar="N", type=int, help="connections (default: the scenario's own)")
    load.add_argument("--repeats", metavar="N", type=int, help="runs (default: the scenario's own)")
    load.add_argument(
        "--before", metavar="MIGRATION", default="", help="also as the schema was before it, in turn; or `pending`"
    )
    load.add_argument(
        "--copy", metavar="BACKUP", default="", help="on a copy of a backup (or `newest`), on a scratch server"
    )
    load.add_argument(
        "--engine", choices=("threads", "pgbench"), default="threads", help="who sends (default: threads)"
    )
    load.add_argument("--calibrate", action="store_true", help="see first that pgbench measures the same")
    load.add_argument("--confirm", metavar="ENV", help="type its name, where deployments to it have to be approved")
    load.add_argument("--shards", metavar="K", type=int, default=1, help="so many machines send (default: this one)")
    load.add_argument("--seed", metavar="N", type=int, default=1, help="what is drawn comes from it (default: 1)")
    repair = _verb(verbs, "repair", "Bring back from a backup what a migration destroyed; what is newer stays.")
    repair.add_argument(
        "--from", dest="backup", metavar="BACKUP", required=True, help="a backup's name, made before it; or `newest`"
    )
    repair.add_argument("--tables", metavar="A,B", help="only these; all by default")
    repair.add_argument("--apply", metavar="ENV", help="type the environment's name to write what was shown")
    _reason(repair)
    new = _verb(verbs, "new", "Make a migration's folder.", env=False)
    new.add_argument("name", metavar="NAME", help="lower_case_words")
    new.add_argument("--dir", metavar="DIR", default="migrations")
    new.add_argument("--requires", metavar="ID", action="append", default=[])


def _backups(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    _verb(verbs, "backup", "Back up the database, with a manifest of what it holds.")
    listed = _verb(verbs, "backups", "The backups of an environment, and how far each is proven.")
    listed.add_argument(
        "--prune", action="store_true", help="delete those that its retention lets go, with the reasons"
    )
    listed.add_argument("--dry-run", action="store_true", help="with --prune: only say which would go")
    listed.add_argument(
        "--rebuild", action="store_true", help="make the registry in the history store from the folders"
    )
    drill = _verb(
        verbs, "drill", "Restore a backup into a scratch server, compare all of it, and measure how long it took."
    )
    drill.add_argument(
        "backup", metavar="BACKUP", nargs="?", default="newest", help="a backup's name (default: newest)"
    )
    restore = _verb(verbs, "restore", "Restore a backup into a new database; never over its source.")
    restore.add_argument("backup", metavar="BACKUP", help="a backup's name, or `newest`")
    restore.add_argument(
        "--database", metavar="NAME", required=True, help="the new database, on the environment's server"
    )
    restore.add_argument("--confirm", metavar="ENV", help="type the environment's name; asked for on a terminal")
    _reason(restore)


def _reason(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--reason", metavar="TEXT", help="why, and who agreed; kept in the target's journal")


def _own(verbs: _Verbs[argparse.ArgumentParser]) -> None:
    _verb(verbs, "demo", "See all of it on this machine: a deployment that works, and two that must not.", env=False)
    _verb(
        verbs,
        "automations",
        "Make or renew the automations on the Prefect server that PREFECT_API_URL names.",
        env=False,
    )
    up = _verb(verbs, "up", "Start the Prefect server, a work pool, the deployments and a worker.", env=False)
    up.add_argument("--port", type=int, default=4200, help="the server's port on loopback (default 4200)")
