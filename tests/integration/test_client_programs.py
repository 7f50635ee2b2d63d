"""What is found out about the client programs on this machine, checked against what they then really do."""

import subprocess

import pytest

from tests.support.majors import MAJORS
from wedsync_db.postgres import programs
from wedsync_db.postgres.binaries import embedded_binaries
from wedsync_db.postgres.programs import client_programs, installed


@pytest.mark.parametrize("major", MAJORS)
def test_a_server_of_any_major_here_finds_its_own_programs(major):
    assert client_programs(major, need_ssl=False).major == major


@pytest.mark.parametrize("major", [16, 18])
def test_the_embedded_build_has_neither_tls_nor_modern_codecs(major):
    found = next(p for p in installed() if p.pg_dump.parent == embedded_binaries(major))
    assert (found.ssl, found.codecs) == (False, {"gzip"})


def test_every_codec_found_writes_a_dump_that_restores(address, tmp_path):
    used = client_programs(18, need_ssl=False)
    for codec in used.codecs:
        file = tmp_path / codec
        level = "1" if codec == "gzip" else f"{codec}:1"
        subprocess.run([used.pg_dump, "-Fc", f"--compress={level}", "-f", file, "-d", address.conninfo()], check=True)
        subprocess.run([used.pg_restore, "-f", "/dev/null", file], check=True)
    assert used.codecs


@pytest.fixture
def fake(tmp_path):
    """Make a folder of programs of which pg_dump is this shell script."""

    def make(script):
        for name in ("pg_dump", "pg_restore", "pg_dumpall"):
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        return tmp_path

    return make


VERSION = 'case "$1" in --version) echo "pg_dump (PostgreSQL) 17.2"; exit;; esac\n'
REACHED = 'echo "pg_dump: error: connection to server on socket failed" >&2; exit 1'


def test_abilities_are_read_from_what_it_complains_of(fake):
    script = VERSION + (
        'case "$*" in *sslmode*) echo "sslmode value invalid when SSL support is not compiled in";;'
        ' *lz4*) echo "invalid compression specification: this build does not support compression with LZ4";;'
        f" *) {REACHED};; esac"
    )
    found = programs._examined(fake(script))
    assert found is not None
    assert (found.major, found.ssl, found.codecs) == (17, False, {"zstd", "gzip"})


def test_an_answer_nobody_expected_is_no_ability(fake):
    found = programs._examined(fake(VERSION + "echo fine"))
    assert found is not None
    assert (found.ssl, found.codecs) == (False, frozenset())


def test_a_build_that_does_not_run_is_none(fake):
    assert programs._examined(fake("exit 127")) is None


def test_a_folder_without_all_three_is_none(fake):
    folder = fake(VERSION)
    (folder / "pg_restore").unlink()
    assert programs._examined(folder) is None


def test_a_changed_program_is_examined_again(fake):
    folder = fake(VERSION)
    first = programs._examined(folder)
    newer = fake(VERSION.replace("17.2", "18.1"))
    assert first is not None
    second = programs._examined(newer)
    assert second is not None
    assert (first.major, second.major) == (17, 18)


def test_a_program_that_is_no_program_says_nothing(tmp_path):
    assert programs._output(tmp_path / "absent", "--version") == ""


def test_a_pg_dump_on_the_path_counts_unless_it_is_debians_chooser(fake, tmp_path, monkeypatch):
    folder = fake(VERSION + REACHED)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    assert folder in list(programs._folders())
    (folder / "pg_dump").rename(folder / "pg_wrapper")
    (folder / "pg_dump").symlink_to(folder / "pg_wrapper")
    assert folder not in list(programs._folders())
