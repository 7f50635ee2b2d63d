"""The command line as a process: pipes that break, signals, start-up cost, help."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.broken import lay_base
from wedsync_db.installation import CHECKOUT

HEAVY = {"prefect", "pandas", "numpy", "sqlparse", "jinja2", "fastapi", "sqlalchemy"}
LOADED = """
import json, sys
from flows.__main__ import main
code = main(sys.argv[1:])
print(json.dumps([code, sorted({name.partition(".")[0] for name in sys.modules})]), file=sys.stderr)
"""


def start(*arguments: str, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **environ: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "flows", *arguments],
        cwd=CHECKOUT, stdout=stdout, stderr=stderr, text=True, env={**os.environ, **environ},
    )  # fmt: skip


def run(*arguments: str, **options) -> tuple[int, str, str]:
    with start(*arguments, **options) as process:
        out, err = process.communicate(timeout=60)
    return process.returncode, out, err


def shell(command: str) -> tuple[int, str, str]:
    """A pipeline of bash; `$RUN` is the command line. The exit code is that of `$RUN`."""
    # unbuffered, Python leaves nothing for its end, where a broken pipe makes it exit with 120
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60,
        env={**buffered, "RUN": f"{sys.executable} -m flows"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("verb", [["status", "case"], ["plan", "case"], ["lint", "migrations"]], ids=lambda v: v[0])
def test_looking_loads_nothing_heavy(case, verb):
    lay_base(case)
    done = subprocess.run(
        [sys.executable, "-c", LOADED, *verb], cwd=CHECKOUT, capture_output=True, text=True, check=False, timeout=60
    )
    code, loaded = json.loads(done.stderr.splitlines()[-1])
    assert code == 0, done.stderr
    assert HEAVY.isdisjoint(loaded)
    assert "wedsync_db" in loaded


def test_a_load_test_that_only_says_how_far_it_is_needs_no_tables_and_no_pictures():
    """Its machine is also the generator's."""
    code = "import sys, wedsync_db.report.load.files; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, stdout=subprocess.PIPE, text=True, check=True)
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "numpy" in loaded
    assert loaded.isdisjoint({"pandas", "matplotlib", "prefect"})


def test_reader_that_goes_away_leaves_exit_code_and_no_traceback(case):
    case.migration("0001_wrong", "create table x (;")
    for answer in ("plan case", "plan case --json", "plan nowhere --json"):
        code, out, err = shell(f"$RUN {answer} | true; exit ${{PIPESTATUS[0]}}")
        assert (out, err) == ("", "")
        assert code == (2 if "nowhere" in answer else 1), "that of the verb, whoever reads its answer"


def test_first_line_is_all_a_reader_takes(case):
    for number in range(1, 400):
        case.migration(f"{number:04}_a", "select 1;", "select 1;")
    code, out, err = shell("$RUN plan case | head -1; exit ${PIPESTATUS[0]}")
    assert (code, err) == (0, "")
    assert out.startswith("case: 399 pending")


def test_reader_of_stderr_that_goes_away_does_not_stop_a_backup(case):
    code, out, _ = shell("$RUN backup case 2>&1 | true; exit ${PIPESTATUS[0]}")
    assert (code, out) == (0, "")
    assert len(list(case.installation.home.backups("case").glob("2*"))) == 1


def test_closed_streams(case):
    lay_base(case)
    assert shell("$RUN status case >&-")[0] == 0
    code, out, err = shell("$RUN status nowhere --json 2>&-")
    assert (code, err) == (2, "")
    assert json.loads(out)["exit_code"] == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_is_told(case):
    lay_base(case)
    code, _, err = shell("$RUN status case > /dev/full")
    assert code == 1
    assert err.startswith("error: it is done, but the answer cannot be written: No space left on device")
    assert "Traceback" not in err


def test_terminal_without_the_characters(case):
    case.migration("0001_a", "drop table public.x;")
    code, out, err = run("plan", "case", PYTHONIOENCODING="ascii")
    assert (code, err) == (0, "")
    assert "\\u2192" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_rehearsal_and_its_servers(case, number):
    case.migration("0001_long", "select pg_sleep(60);", "select 1;")
    with start("rehearse", "--dir", str(case.folder / "migrations"), stdout=subprocess.DEVNULL) as process:
        assert "scratch server" in process.stderr.readline()
        process.send_signal(number)
        err = process.stderr.read()
    assert process.returncode == 130
    assert err.splitlines()[-1] == "interrupted; `status` says where things stand"
    assert "Traceback" not in err
    assert list(case.installation.home.scratch.iterdir()) == [], "the scratch server is gone"


# -- help and usage ----------------------------------------------------------------------------------------------------
def test_help_fits_and_tells_the_exit_codes():
    code, out, err = run("--help", COLUMNS="80")
    assert (code, err) == (0, "")
    assert max(len(line) for line in out.splitlines()) <= 100
    for verb in ("doctor", "status", "plan", "lint", "rehearse", "deploy", "revert", "recover", "backup", "restore"):
        assert re.search(rf"^    {verb} ", out, re.MULTILINE)
    for number in range(6):
        assert re.search(rf"^  {number}  \w+", out.partition("exit codes")[2], re.MULTILINE)


def test_help_of_a_verb():
    code, out, _ = run("revert", "--help")
    assert code == 0
    assert "--accept-loss" in out
    assert "exit codes:\n" in out


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "VERB"),
        (["destroy", "case"], "destroy"),
        (["status"], "ENV"),
        (["status", "case", "--force"], "--force"),
        (["revert", "case"], "--to"),
        (["rehearse", "--dir", "x", "--major", "eighteen"], "eighteen"),
    ],
)
def test_wrong_usage(arguments, word):
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert word in err
    assert "Traceback" not in err
