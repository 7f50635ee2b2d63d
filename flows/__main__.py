"""The command line: `python -m flows VERB …`. Prefect is imported only by the verbs that need it."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence

from wedsync_db.cli.answer import Answer, show, show_error
from wedsync_db.cli.parser import build_parser
from wedsync_db.errors import WedsyncError
from wedsync_db.installation import Installation, this_installation
from wedsync_db.report.errors import unexpected

# verb → the module that has a function of that name; imported when it is called, so that `status` starts quickly
_MODULES = {
    **dict.fromkeys(("doctor", "status", "plan", "lint", "rehearse"), "wedsync_db.cli.looking"),
    **dict.fromkeys(("backup", "backups", "restore"), "wedsync_db.cli.backups"),
    **dict.fromkeys(("revert", "recover", "new"), "wedsync_db.cli.changing"),
    "deploy": "flows.local_runs",
    "demo": "flows.demonstration",
    "up": "wedsync_db.cli.serving",
}
_INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one verb and return its exit code; every expected error is one line and a hint."""
    parsed = build_parser().parse_args(arguments)
    try:
        return show(_verb(parsed.verb)(parsed, this_installation()), as_json=parsed.json)
    except WedsyncError as error:
        return show_error(error, as_json=parsed.json)
    except KeyboardInterrupt:
        print("interrupted; `status` says where things stand", file=sys.stderr)
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader went away; nothing is left to say
        return 0
    except Exception as error:  # noqa: BLE001 a traceback may show row values
        return show_error(unexpected(error), as_json=parsed.json)


def _verb(name: str) -> Callable[[argparse.Namespace, Installation], Answer]:
    function: Callable[[argparse.Namespace, Installation], Answer] = getattr(
        importlib.import_module(_MODULES[name]), name
    )
    return function


if __name__ == "__main__":
    sys.exit(main())
