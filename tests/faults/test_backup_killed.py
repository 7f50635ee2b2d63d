"""kill -9 of a run that is making a backup: no backup, no program and no session stays; the next run cleans up."""

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from tests.support.processes import programs, started_with
from tests.support.slow_dump import slow_programs
from tests.support.waiting import eventually
from wedsync_db.backup.drill import drill_environment
from wedsync_db.backup.dump import create_backup
from wedsync_db.backup.nightly import verify
from wedsync_db.backup.proven import proven
from wedsync_db.backup.store import check_files, list_backups
from wedsync_db.installation import CHECKOUT
from wedsync_db.postgres.server import server_facts

pytestmark = pytest.mark.faults

# a run that stops for good at one of its moments, and says so
RUN = """
import sys, time
from pathlib import Path
from wedsync_db.backup import dump, store
from wedsync_db.backup.keys import Key
from wedsync_db.postgres.session import Address
from tests.support.processes import programs

moment, host, port, dbname, folder = sys.argv[1:]

def stop(*_):
    print("there", flush=True)
    time.sleep(600)

def stop_when_it_dumps():
    if programs(folder):
        stop()

options = {"say": stop} if moment == "before the dump" else {}
if moment == "while dumping":
    options["check"] = stop_when_it_dumps
if moment == "before the checksums":
    dump.digest_files = stop
if moment == "half encrypted":
    options["key"] = Key("aaaa", b"a" * 32)
    from wedsync_db.backup import encryption
    copy = encryption._copy
    encryption._copy = lambda source, *args, **more: stop() if source.name == "toc.dat" else copy(source, *args, **more)
if moment == "before the manifest":
    dump.publish = stop
if moment == "before its name":
    store._sync = stop
dump.create_backup(Address(host, int(port), dbname, "wedsync"), Path(folder), environment="demo", **options)
"""
MOMENTS = (
    "before the dump",
    "while dumping",
    "before the checksums",
    "half encrypted",
    "before the manifest",
    "before its name",
)
# the same for what is done with a finished one
LATER = """
import sys, time
from datetime import UTC, datetime
from pathlib import Path
from wedsync_db.backup import drill, nightly, store
from wedsync_db.installation import this_installation

def stop(*_, **__):
    print("there", flush=True)
    time.sleep(600)

moment = sys.argv[1]
installation = this_installation()
environment = installation.environment("case")
(backup,) = store.list_backups(installation.home.backups("case"))
clock = lambda: datetime.now(UTC)
if moment == "while verifying":
    nightly.check_files = stop
    nightly.verify(installation, environment, backup, clock=clock)
if moment == "while drilling":
    drill.drill_environment(installation, environment, backup, clock=clock, between=stop)
if moment == "while deleting":
    store.shutil.rmtree = stop
    store.remove(backup)
"""


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_killed_run_leaves_nothing_that_lasts(address, db, tmp_path, moment):
    rows = 900_000 if moment == "while dumping" else 20_000  # so that there is a while
    db.execute(f"create table t as select g, repeat(md5(g::text), 9) from generate_series(1, {rows}) g")
    folder = tmp_path / "backups"
    earlier = create_backup(address, folder, environment="demo")
    private = tmp_path / "tmp"
    private.mkdir()
    command = [sys.executable, "-c", RUN, moment, address.host, str(address.port), address.dbname, str(folder)]
    environment = {**os.environ, "TMPDIR": str(private), "PYTHONPATH": str(CHECKOUT)}
    run = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert run.stdout.readline() == b"there\n"
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert eventually(lambda: not programs(folder) and not sessions(db))
    assert list(private.iterdir()) == []
    assert list_backups(folder) == (earlier,)
    assert len(list(folder.glob(".partial-*"))) == 1
    later = create_backup(address, folder, environment="demo")
    check_files(later)
    assert list_backups(folder) == (earlier, later)
    assert list(folder.glob(".partial-*")) == []


@pytest.mark.parametrize("moment", ["while verifying", "while drilling", "while deleting"])
def test_a_kill_later_proves_nothing_and_the_next_run_cleans_up(case, db, moment):
    db.execute("create table t as select g from generate_series(1, 1000) g")
    home, environment = case.installation.home, case.installation.environment("case")
    earlier = create_backup(case.address, home.backups("case"), environment="case")
    environ = {**os.environ, "PYTHONPATH": str(CHECKOUT)}
    run = subprocess.Popen([sys.executable, "-c", LATER, moment], stdout=subprocess.PIPE, env=environ)
    assert run.stdout.readline() == b"there\n"
    assert (moment == "while drilling") == bool(started_with(f"{home.scratch}/"))
    run.send_signal(signal.SIGKILL)
    run.wait()
    run.stdout.close()
    assert eventually(lambda: not sessions(db))
    assert [proven(one).progress for one in list_backups(home.backups("case"))] == (
        [] if moment == "while deleting" else ["complete"]
    )
    if moment != "while deleting":
        now = {"clock": lambda: datetime.now(UTC)}
        verify(case.installation, environment, earlier, **now)
        drilled = drill_environment(case.installation, environment, earlier, **now)
        assert drilled.outcome == "restored", drilled
    create_backup(case.address, home.backups("case"), environment="case")
    assert [path.name for path in home.backups("case").iterdir() if path.name[0] == "." and path.is_dir()] == []
    assert list(home.scratch.iterdir()) == []
    assert eventually(lambda: not started_with(f"{home.scratch}/"))


def test_the_debris_of_a_living_run_is_left_alone(address, db, tmp_path):
    db.execute("create table t as select g from generate_series(1, 300000) g")
    seen = []

    def meanwhile():
        if not seen:
            seen.append(create_backup(address, tmp_path / "backups", environment="demo"))

    slow = slow_programs(tmp_path, server_facts(db).major)
    outer = create_backup(address, tmp_path / "backups", environment="demo", check=meanwhile, programs=slow)
    assert sorted(one.id for one in list_backups(tmp_path / "backups")) == sorted([outer.id, seen[0].id])


def sessions(db):
    query = "select 1 from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()"
    return db.execute(query).fetchall()
