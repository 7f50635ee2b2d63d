"""The embedded server: one for all who want it, whoever gets killed, whatever the disk holds."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from tests.support.majors import MAJORS
from wedsync_db.errors import Refused, Unreachable, WedsyncError
from wedsync_db.home import Home
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.cluster import Cluster, embedded, embedded_exists, start, stop
from wedsync_db.postgres.pg_ctl import (
    _has_ended,
    _is_somebody_else,
    answering,
    cluster_in,
    last_complaint,
    socket_folder,
)
from wedsync_db.postgres.session import Address, session

USE = """
import sys, pathlib
from wedsync_db.home import Home
from wedsync_db.postgres.cluster import embedded
with embedded(Home(pathlib.Path(sys.argv[1])), 18) as cluster:
    print((cluster.data / "postmaster.pid").read_text().split()[0], flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module")
def template():
    """A state folder with a server of 18, made once: initdb with fsync takes its time."""
    with tempfile.TemporaryDirectory(prefix="wedsync-template-") as folder:
        Path(folder).chmod(0o711)
        home = Home(Path(folder) / "home")
        with embedded(home, 18):
            pass
        yield home


@pytest.fixture
def made(home, template) -> Home:
    """A state folder of its own in which a server of 18 has been made and is not running."""
    subprocess.run(["cp", "-a", template.pg / "18", home.pg / "18"], check=True)
    return home


@pytest.fixture
def user(made):
    """Start another process that uses the server until its stdin closes; it tells the postmaster's pid."""
    started = []

    def begin() -> tuple[subprocess.Popen, int]:
        process = subprocess.Popen(
            [sys.executable, "-c", USE, str(made.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=CHECKOUT,
        )
        started.append(process)
        return process, int(process.stdout.readline())

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def ask(cluster: Cluster, statement: str, address: Address | None = None):
    with session(address or cluster.address(), "test") as connection:
        return connection.execute(statement).fetchone()[0]


def postmaster(cluster: Cluster) -> int:
    return int((cluster.data / "postmaster.pid").read_text().split()[0])


def answers(home: Home) -> bool:
    return answering(cluster_in(home.pg / "18", Path("/unused")))


def alive(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


def gone(pid: int) -> bool:
    deadline = time.monotonic() + 20
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize("major", MAJORS)
def test_it_starts_on_demand_keeps_its_data_and_stops(home, major):
    assert not embedded_exists(home, major)
    with embedded(home, major) as cluster:
        assert ask(cluster, "show server_version_num").startswith(str(major))
        assert {ask(cluster, f"show {s}") for s in ("fsync", "data_checksums", "full_page_writes")} == {"on"}
        assert ask(cluster, "select setting from pg_settings where name = 'listen_addresses'") == ""
        with session(cluster.address(), "test") as connection:
            connection.execute("create table kept as select 1 as one")
    assert embedded_exists(home, major)
    assert not answering(cluster)
    with embedded(home, major) as again:
        assert ask(again, "select one from kept") == 1


def test_its_folders_are_closed_to_others(made):
    with embedded(made, 18) as cluster:
        assert {p.stat().st_mode & 0o777 for p in (cluster.data, cluster.socket)} == {0o700}
        folder = cluster.data.parent
        assert (folder / "server.log").stat().st_mode & 0o777 == 0o600
        # whoever took over the server must not be able to change who may log in
        assert folder.stat().st_uid == (folder / "pg_hba.conf").stat().st_uid == os.geteuid()
        assert (folder / "pg_hba.conf").stat().st_mode & 0o777 == 0o640


def test_nobody_is_trusted(made):
    with embedded(made, 18) as cluster:
        with session(cluster.address(), "test") as connection:
            connection.execute("create role guest login")
            connection.execute("create role known login password 'pw-3f'")
        with pytest.raises(Unreachable):
            ask(cluster, "select 1", cluster.address(user="guest"))
        known = Address(str(cluster.socket), cluster.port, "postgres", "known", "pw-3f")
        assert ask(cluster, "select current_user", known) == "known"
        rules = ask(cluster, "select string_agg(distinct auth_method, ',') from pg_hba_file_rules where error is null")
        assert rules == "peer,scram-sha-256"
        assert ask(cluster, "select count(*) from pg_hba_file_rules where error is not null") == 0


def test_nested_use_stops_with_the_outermost(made):
    with embedded(made, 18) as outer:
        with embedded(made, 18) as inner:
            assert inner == outer
        assert answering(outer)
    assert not answering(outer)


def test_many_at_once_make_one_server(home):
    def use(_):
        with embedded(home, 18) as cluster:
            return ask(cluster, "select system_identifier from pg_control_system()")

    with ThreadPoolExecutor(4) as pool:
        assert len(set(pool.map(use, range(8)))) == 1
    with embedded(home, 18) as cluster:
        pass
    assert not (cluster.data / "postmaster.pid").exists()


def test_processes_share_one_and_the_last_stops_it(made, user):
    first, pid = user()
    second, same = user()
    assert pid == same
    first.communicate()
    assert answers(made)
    second.communicate()
    assert not answers(made)
    assert gone(pid)


def test_a_killed_user_does_not_count(user):
    first, pid = user()
    second, _ = user()
    first.kill()
    first.wait()
    second.communicate()
    assert gone(pid)


def test_after_its_only_user_was_killed_the_next_takes_over_and_stops_it(made, user):
    first, pid = user()
    first.kill()
    first.wait()
    assert answers(made)
    with embedded(made, 18) as cluster:
        assert postmaster(cluster) == pid
    assert gone(pid)


def test_a_killed_server_is_started_again(made):
    with embedded(made, 18) as cluster:
        with session(cluster.address(), "test") as connection:
            connection.execute("create table kept as select 1 as one")
        pid = postmaster(cluster)
        os.kill(pid, signal.SIGKILL)
        assert gone(pid)
        with embedded(made, 18) as again:
            assert ask(again, "select one from kept") == 1
            assert postmaster(again) != pid


def test_a_stale_pid_that_is_somebody_elses_by_now_does_not_matter(made):
    with embedded(made, 18) as cluster:
        pass
    # the number of a process that is alive, of the same account as the server, and not a server
    other = subprocess.Popen(["sleep", "60"], user=cluster.data.stat().st_uid, cwd="/")
    try:
        (cluster.data / "postmaster.pid").write_text(f"{other.pid}\n{cluster.data}\n0\n5432\n{cluster.socket}\n\n0 0\n")
        with embedded(made, 18) as again:
            assert ask(again, "select 1") == 1
    finally:
        other.kill()
        other.wait()


def test_a_killed_server_that_nobody_collects_does_not_matter(made):
    with embedded(made, 18) as cluster:
        pass
    # of the server's account: others PostgreSQL takes for strangers by itself
    ended = subprocess.Popen(["true"], user=cluster.data.stat().st_uid, cwd="/")
    os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)  # it is a zombie from here on
    (cluster.data / "postmaster.pid").write_text(f"{ended.pid}\n{cluster.data}\n0\n5432\n{cluster.socket}\n\n0 0\n")
    with embedded(made, 18) as again:
        assert ask(again, "select 1") == 1
    ended.wait()


def test_a_pid_nobody_has_is_left_to_postgresql():
    for pid in ("not a number", "999999999", "1", str(os.getpid())):
        assert not _has_ended(pid)
    assert not _is_somebody_else("not a number")
    assert not _is_somebody_else("999999999")


def test_what_a_killed_initdb_left_is_redone(home):
    half = home.pg / "18.new-abc"
    (half / "data" / "base").mkdir(parents=True)
    with embedded(home, 18) as cluster:
        assert ask(cluster, "select 1") == 1
    assert [path.name for path in home.pg.iterdir() if path.is_dir()] == ["18"]


@pytest.mark.parametrize(("holds", "says"), [("16\n", "a PostgreSQL 16 server"), (None, "no PostgreSQL server")])
def test_a_folder_that_holds_something_else_is_refused_and_left_alone(home, holds, says):
    (home.pg / "18" / "data").mkdir(parents=True)
    if holds:
        (home.pg / "18" / "data" / "PG_VERSION").write_text(holds)
    with pytest.raises(Refused, match=f"{says}, not one of 18"), embedded(home, 18):
        pass
    assert (home.pg / "18" / "data").exists()


def test_a_major_that_is_not_here_is_refused(home):
    with pytest.raises(Refused, match="no PostgreSQL 99 server"), embedded(home, 99):
        pass


def test_why_it_did_not_start_is_said(made):
    with embedded(made, 18) as cluster:
        pass
    with pytest.raises(WedsyncError, match=r"did not start: .*shared_buffers") as caught:
        start(cluster, {"shared_buffers": "no number"})
    assert "server.log" in caught.value.hint
    start(cluster)
    with session(cluster.address(), "test") as connection, pytest.raises(Exception, match="nonsense"):
        connection.execute("select nonsense")
    stop(cluster)
    pid_file = cluster.data / "global" / "pg_control"
    pid_file.rename(pid_file.with_suffix(".away"))
    with pytest.raises(WedsyncError, match="did not start") as caught:
        start(cluster)
    assert "nonsense" not in caught.value.message  # an old complaint is not the reason


def test_a_socket_name_somebody_else_took_is_refused(made):
    with embedded(made, 18) as cluster:
        pass
    cluster.socket.rmdir()
    cluster.socket.mkdir(mode=0o755)
    cluster.socket.chmod(0o755)
    with pytest.raises(Refused), embedded(made, 18):
        pass


def test_a_path_too_long_for_a_socket(home):
    deep = Home(home.path / ("d" * 60) / ("e" * 60))
    assert len(str(deep.pg)) > 107
    for folder in (deep.path.parent, deep.path):
        folder.mkdir()
        folder.chmod(0o711)
    with embedded(deep, 18) as cluster:
        assert len(str(cluster.socket)) < 60
        assert cluster.socket.stat().st_mode & 0o777 == 0o700
        assert ask(cluster, "select 1") == 1
    cluster.socket.rmdir()


def test_short_socket_folders_differ_and_short_paths_keep_theirs():
    deep = Path("/" + "x" * 100)
    assert socket_folder(deep / "a") != socket_folder(deep / "b")
    assert socket_folder(Path("/srv/a")) == Path("/srv/a/s")
    assert socket_folder(Path("/" + "é" * 50)).parent == Path("/tmp")  # bytes count, not letters


def test_odd_names_in_the_path(home):
    with embedded(Home(home.path / "it's a, b"), 18) as cluster:
        assert ask(cluster, "select 1") == 1
    cluster.socket.rmdir()  # in /tmp, because of the comma


@pytest.mark.parametrize("name", ['double"', "dollar$HOME", "back`tick", "back\\slash"])
def test_names_that_a_shell_would_take_apart_are_refused(home, name):
    with pytest.raises(Refused, match="pg_ctl cannot work in"), embedded(Home(home.path / name), 18):
        pass


def test_the_last_complaint():
    log = "LOG: a\nFATAL:  first\n2026 UTC [1] PANIC:  last one\nLOG:  shut down\n"
    assert last_complaint(log) == "last one"
    assert last_complaint("initdb: error: no room\n") == "no room"
    assert last_complaint("LOG: fine") == ""
