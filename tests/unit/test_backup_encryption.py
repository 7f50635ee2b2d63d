"""Encrypted files: what comes back is what went in, and every change to them is found."""

from __future__ import annotations

import base64

import pytest

from wedsync_db.backup import encryption
from wedsync_db.backup.encryption import CHUNK_BYTES, Cipher, decrypt_files, encrypt_files
from wedsync_db.backup.keys import Key, choose_key, known_keys, newest_key
from wedsync_db.errors import BackupError, Inconclusive, Refused, UsageError
from wedsync_db.settings import Environment

KEY = Key("0123", b"k" * 32)
CIPHER = Cipher(KEY, b"s" * 32, "20260607T030000Z-aaaa")
HEADER = len(encryption._HEADER)
SEALED_CHUNK = CHUNK_BYTES + 16


def encrypted(folder, contents, cipher=CIPHER):
    for name, content in contents.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return encrypt_files(folder, cipher, jobs=2)


def decrypted(folder, target, names, cipher=CIPHER):
    decrypt_files(folder, iter(names), cipher, target, jobs=2)
    return {str(path.relative_to(target)): path.read_bytes() for path in target.rglob("*") if path.is_file()}


def test_files_of_every_length_come_back(tmp_path):
    lengths = (0, 1, CHUNK_BYTES - 1, CHUNK_BYTES, CHUNK_BYTES + 1, 2 * CHUNK_BYTES)
    contents = {f"data/{length}.dat": bytes(range(256)) * (length // 256) + b"x" * (length % 256) for length in lengths}
    files = encrypted(tmp_path / "backup", contents)
    assert sorted(files) == sorted(f"{name}.enc" for name in contents)
    stored = {str(p.relative_to(tmp_path / "backup")): p for p in (tmp_path / "backup").rglob("*.enc")}
    assert {name: path.stat().st_size for name, path in stored.items()} == {n: size for n, (size, _) in files.items()}
    assert not list((tmp_path / "backup").rglob("*.dat"))  # nothing is left as it was
    assert decrypted(tmp_path / "backup", tmp_path / "plain", files) == contents


CHANGES = {
    "one bit of the header": lambda c: c[:3] + bytes([c[3] ^ 1]) + c[4:],
    "one bit at the start": lambda c: c[:HEADER] + bytes([c[HEADER] ^ 1]) + c[HEADER + 1 :],
    "one bit of the last tag": lambda c: c[:-1] + bytes([c[-1] ^ 1]),
    "cut to nothing": lambda _: b"",
    "cut to the header": lambda c: c[:HEADER],
    "cut within a chunk": lambda c: c[:-5],
    "cut between two chunks": lambda c: c[: HEADER + SEALED_CHUNK],
    "the first chunk gone": lambda c: c[:HEADER] + c[HEADER + SEALED_CHUNK :],
    "two chunks swapped": lambda c: (
        c[:HEADER]
        + c[HEADER + SEALED_CHUNK : HEADER + 2 * SEALED_CHUNK]
        + c[HEADER : HEADER + SEALED_CHUNK]
        + c[HEADER + 2 * SEALED_CHUNK :]
    ),
    "something behind it": lambda c: c + b"x",
    "a chunk twice": lambda c: c + c[-SEALED_CHUNK:],
    "not encrypted at all": lambda _: b"1\tx\n",
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_found(tmp_path, change):
    (name,) = encrypted(tmp_path / "backup", {"a.dat": b"y" * (3 * CHUNK_BYTES)})
    path = tmp_path / "backup" / name
    path.write_bytes(CHANGES[change](path.read_bytes()))
    with pytest.raises(BackupError, match=r"a\.dat\.enc is not what was encrypted with key 0123"):
        decrypted(tmp_path / "backup", tmp_path / "plain", [name])


@pytest.mark.parametrize(
    "other",
    [Cipher(Key("0123", b"l" * 32), b"s" * 32, CIPHER.backup_id), Cipher(KEY, b"t" * 32, CIPHER.backup_id),
     Cipher(KEY, b"s" * 32, "20260608T030000Z-bbbb")],
    ids=["another key", "another salt", "another backup"],
)  # fmt: skip
def test_nothing_else_opens_it(tmp_path, other):
    files = encrypted(tmp_path / "backup", {"a.dat": b"x"})
    with pytest.raises(BackupError, match="not what was encrypted"):
        decrypted(tmp_path / "backup", tmp_path / "plain", files, other)


def test_a_file_in_another_ones_place_is_found(tmp_path):
    files = encrypted(tmp_path / "backup", {"a.dat": b"x", "b.dat": b"y"})
    one, other = tmp_path / "backup" / "a.dat.enc", tmp_path / "backup" / "b.dat.enc"
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(kept)
    with pytest.raises(BackupError, match="not what was encrypted"):
        decrypted(tmp_path / "backup", tmp_path / "plain", files)


def secret(byte):
    return base64.b64encode(byte * 32).decode()


NAMED = Environment("production", url_env="URL", require_tls=True, backup_key_env="KEY")


def test_the_first_key_encrypts_and_all_of_them_decrypt():
    environ = {"KEY": f" {secret(b'n')}\n{secret(b'o')} "}
    new, old = known_keys(NAMED, environ)
    assert newest_key(NAMED, environ) == new
    assert choose_key([new, old], old.id, "b") == old
    assert "n" * 32 not in repr(new)
    with pytest.raises(Inconclusive, match="key feed, which is not here"):
        choose_key([new, old], "feed", "b")


@pytest.mark.parametrize("value", ["", "short", base64.b64encode(b"x" * 31).decode(), "*" * 44])
def test_what_is_no_key_is_refused_and_not_shown(value):
    with pytest.raises(UsageError, match="KEY") as caught:
        known_keys(NAMED, {"KEY": value} if value else {})
    assert not value or value not in caught.value.message


def test_an_environment_that_requires_tls_must_name_a_key_and_others_need_not():
    with pytest.raises(Refused, match="names no key"):
        newest_key(Environment("production", url_env="URL", require_tls=True), {})
    assert newest_key(Environment("demo", embedded_major=18), {}) is None
