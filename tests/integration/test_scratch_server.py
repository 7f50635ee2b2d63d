"""Scratch servers: there for a block, gone with their data after it, swept when their user was killed."""

import os
import subprocess
import sys
import time
from contextlib import suppress

import pytest

from tests.support.majors import MAJORS
from wedsync_db.errors import Refused, WedsyncError
from wedsync_db.filelock import lock_file, try_alone
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.cluster import scratch, sweep_scratch
from wedsync_db.postgres.pg_ctl import answering
from wedsync_db.postgres.session import session

KILLED = """
import os, pathlib, signal, sys
from wedsync_db.postgres.cluster import scratch
with scratch(18, pathlib.Path(sys.argv[1])) as cluster:
    print((cluster.data / "postmaster.pid").read_text().split()[0], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def ends(pid: int) -> bool:
    """Whether a process is gone, after waiting for it a little."""
    deadline = time.monotonic() + 20
    with suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.kill(pid, 0)
            time.sleep(0.02)
        return False
    return True


@pytest.mark.parametrize("major", MAJORS)
def test_it_lives_for_the_block(home, major):
    with scratch(major, home.scratch, {"work_mem": "7MB", "search_path": "a, \"b c\", 'd'"}) as cluster:
        with session(cluster.address(), "test") as connection:
            row = connection.execute(
                "select current_setting('server_version_num')::int / 10000, current_setting('fsync'),"
                " current_setting('work_mem')"
            ).fetchone()
        assert row == (major, "off", "7MB")
        assert cluster.data.is_relative_to(home.scratch)
    assert list(home.scratch.iterdir()) == []
    assert not answering(cluster)


def test_it_is_gone_after_an_error_too(home):
    with pytest.raises(ZeroDivisionError), scratch(18, home.scratch):
        raise ZeroDivisionError
    assert list(home.scratch.iterdir()) == []


def test_it_is_gone_when_it_does_not_start(home):
    with pytest.raises(WedsyncError, match="did not start"), scratch(18, home.scratch, {"work_mem": "none"}):
        pass
    assert list(home.scratch.iterdir()) == []


def test_a_major_that_is_not_here_is_refused(home):
    with pytest.raises(Refused, match="no PostgreSQL 99 server"), scratch(99, home.scratch):
        pass


def test_sweeping_takes_what_a_killed_user_left_and_nothing_in_use(home):
    left = subprocess.run(
        [sys.executable, "-c", KILLED, str(home.scratch)], stdout=subprocess.PIPE, text=True, check=False, cwd=CHECKOUT
    )
    pid = int(left.stdout)
    os.kill(pid, 0)  # its server runs on
    (home.scratch / "wedsync-scratch-empty").mkdir()
    with scratch(18, home.scratch) as cluster:
        removed = sweep_scratch(home.scratch)
        assert len(removed) == 2
        assert answering(cluster)
    assert ends(pid)
    assert list(home.scratch.iterdir()) == []
    assert sweep_scratch(home.scratch) == ()


def test_sweeping_takes_what_a_user_left_who_was_killed_in_initdb(home):
    """Which makes its files one after the other, and so are they deleted by a sweep that is killed in turn."""
    for name, files in {"none": {}, "empty": {"PG_VERSION": ""}, "half_gone": {"postmaster.pid": "1\n"}}.items():
        data = home.scratch / f"wedsync-scratch-{name}" / "data"
        data.mkdir(parents=True)
        for file, text in files.items():
            (data / file).write_text(text)
    assert len(sweep_scratch(home.scratch)) == 3
    assert list(home.scratch.iterdir()) == []


def test_a_lock_is_held_by_each_opening_and_not_inherited(tmp_path):
    with lock_file(tmp_path / "lock") as first, lock_file(tmp_path / "lock") as second:
        assert try_alone(first)
        assert not try_alone(second)
        child = subprocess.Popen(["sleep", "60"], close_fds=False)
    try:
        with lock_file(tmp_path / "lock") as third:
            assert try_alone(third)
    finally:
        child.kill()
        child.wait()
