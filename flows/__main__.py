"""The command line: `python -m flows VERB …`. Prefect is imported only by the verbs that need it."""

from __future__ import annotations

import argparse
import importlib
import signal
import sys
from collections.abc import Callable, Sequence

from wedsync_db.cli.answer import Answer, show, show_error
from wedsync_db.cli.parser import build_parser
from wedsync_db.cli.terminal import let_go, prepare, say
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import Installation, this_installation
from wedsync_db.report.errors import unexpected

# verb → the module that has a function of that name; imported when it is called, so that `status` starts quickly
_MODULES = {
    **dict.fromkeys(("doctor", "status", "plan", "lint", "rehearse"), "wedsync_db.cli.looking"),
    **dict.fromkeys(("backup", "backups"), "wedsync_db.cli.backups"),
    "restore": "wedsync_db.cli.restoring",
    "drill": "flows.drill_runs",
    "maintain": "flows.maintenance_runs",
    **dict.fromkeys(("revert", "recover", "new"), "wedsync_db.cli.changing"),
    "repair": "wedsync_db.cli.repairing",
    "health": "wedsync_db.cli.health",
    **dict.fromkeys(("metrics", "silence"), "wedsync_db.cli.monitoring"),
    "schema": "wedsync_db.cli.schema",
    "report": "wedsync_db.cli.reporting",
    "deploy": "flows.local_runs",
    "load-test": "flows.load_runs",
    "demo": "flows.demonstration",
    "up": "wedsync_db.cli.serving",
    "automations": "wedsync_db.cli.automations",
}
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; every expected error is one line and a hint."""
    prepare()
    try:
        return _run(build_parser().parse_args(arguments))
    finally:
        let_go()


def _run(parsed: argparse.Namespace) -> int:
    try:
        return show(_verb(parsed.verb)(parsed, this_installation()), as_json=parsed.json)
    except WedsyncError as error:
        return show_error(error, as_json=parsed.json)
    except KeyboardInterrupt:
        say("interrupted; `status` says where things stand")
        return _INTERRUPTED
    except Exception as error:  # noqa: BLE001 a traceback may show row values
        return show_error(unexpected(error), as_json=parsed.json)


def _verb(name: str) -> Callable[[argparse.Namespace, Installation], Answer]:
    function: Callable[[argparse.Namespace, Installation], Answer] = getattr(
        importlib.import_module(_MODULES[name]), name.replace("-", "_")
    )
    return function


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    # a CI that cancels its job sends SIGTERM: what was started is ended as on Ctrl-C, servers and sessions too
    signal.signal(signal.SIGTERM, _interrupt)
    sys.exit(main())
