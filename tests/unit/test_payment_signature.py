"""Whether an event was signed by who holds the secret, and just now."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.errors import UsageError
from wedsync_db.payments.signature import BadSignature, verify_signature

SECRET, OTHER = "whsec_not-a-secret-93af", "whsec_not-a-secret-older"
NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
# printf '%s' '1803902400.{"id":"evt_1"}' | openssl dgst -sha256 -hmac whsec_not-a-secret-93af
BODY, SECONDS = b'{"id":"evt_1"}', 1803902400
BY_OPENSSL = "530bba6e8c1f776ece043d959f7d621087e3c7388aa3fcf5c108005de0794fc2"


def signature(body: bytes, secret: str, seconds: object = SECONDS) -> str:
    return hmac.new(secret.encode(), f"{seconds}.".encode() + body, hashlib.sha256).hexdigest()


def header(body: bytes, *secrets: str, seconds: object = SECONDS) -> str:
    return ",".join([f"t={seconds}", *(f"v1={signature(body, secret, seconds)}" for secret in secrets)])


def test_a_signature_made_by_another_program_fits():
    assert NOW.timestamp() == SECONDS
    verify_signature(BODY, f"t={SECONDS},v1={BY_OPENSSL}", [SECRET], NOW)


@given(body=st.binary(), secret=st.text(min_size=1), seconds=st.integers(0, 10**10))
def test_what_was_signed_with_the_secret_fits(body, secret, seconds):
    now = datetime.fromtimestamp(seconds, UTC)
    verify_signature(body, header(body, secret, seconds=seconds), [secret], now)


@given(body=st.binary(min_size=1), place=st.integers(min_value=0), bit=st.integers(0, 7))
def test_one_other_bit_in_the_body_does_not(body, place, bit):
    changed = bytearray(body)
    changed[place % len(body)] ^= 1 << bit
    with pytest.raises(BadSignature):
        verify_signature(bytes(changed), header(body, SECRET), [SECRET], NOW)


@given(place=st.integers(0, 63), digit=st.sampled_from("0123456789abcdef"))
def test_one_other_digit_in_the_signature_does_not(place, digit):
    right = signature(BODY, SECRET)
    wrong = right[:place] + digit + right[place + 1 :]
    if wrong != right:
        with pytest.raises(BadSignature):
            verify_signature(BODY, f"t={SECONDS},v1={wrong}", [SECRET], NOW)


def test_the_time_is_part_of_what_is_signed():
    with pytest.raises(BadSignature):
        verify_signature(BODY, header(BODY, SECRET).replace(str(SECONDS), str(SECONDS + 1)), [SECRET], NOW)


@pytest.mark.parametrize("signed_with", [[SECRET], [OTHER], [OTHER, SECRET], [SECRET, OTHER], ["x", SECRET, "y"]])
@pytest.mark.parametrize("known", [[SECRET, OTHER], [OTHER, SECRET]])
def test_while_a_secret_is_rotated_either_fits(signed_with, known):
    verify_signature(BODY, header(BODY, *signed_with), known, NOW)


def test_after_it_was_the_old_one_does_not():
    with pytest.raises(BadSignature):
        verify_signature(BODY, header(BODY, OTHER), [SECRET], NOW)


@pytest.mark.parametrize(("late", "fits"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)])
def test_a_signature_is_good_for_five_minutes_on_both_sides(late, fits):
    now = (NOW + timedelta(seconds=late)).astimezone(timezone(timedelta(hours=-9)))
    if fits:
        verify_signature(BODY, header(BODY, SECRET), [SECRET], now)
    else:
        with pytest.raises(BadSignature, match="301 s"):
            verify_signature(BODY, header(BODY, SECRET), [SECRET], now)


def test_how_long_is_the_caller_s_choice():
    with pytest.raises(BadSignature, match="11 s ago; 10 s are allowed"):
        verify_signature(BODY, header(BODY, SECRET), [SECRET], NOW + timedelta(seconds=11), tolerance_seconds=10)


GOOD = signature(BODY, SECRET)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ",",
        "t=",
        f"t={SECONDS}",
        f"v1={GOOD}",
        f"t={SECONDS},v0={GOOD}",  # another scheme
        f"t={SECONDS},v1={GOOD[:-1]}",
        f"t={SECONDS},v1={GOOD}0",
        f"t={SECONDS},v1={GOOD.upper()}",
        f"t={SECONDS},t={SECONDS + 1},v1={GOOD}",  # which of the two was signed?
        f"t=+{SECONDS},v1={GOOD}",
        f"t=-1,v1={GOOD}",
        f"t=1e9,v1={GOOD}",
        f"t={SECONDS}.0,v1={GOOD}",
        f"t=١٨٠٣٩٠٢٤٠٠,v1={GOOD}",
        f"t={'9' * 12},v1={GOOD}",
        f"T={SECONDS},V1={GOOD}",
        f"t={SECONDS};v1={GOOD}",
        f"t={SECONDS},v1={GOOD}" + "," * 5000,
        "\x00\ud800",
    ],
)
def test_a_header_that_cannot_be_read_is_refused(text):
    with pytest.raises(BadSignature, match="cannot be read"):
        verify_signature(BODY, text, [SECRET], NOW)


@given(text=st.text() | st.from_regex(r"t=\d{0,12}(,v[01]=[0-9a-f]{0,70}){0,3}", fullmatch=True))
def test_whatever_the_header_is_the_answer_is_no(text):
    with pytest.raises(BadSignature):
        verify_signature(BODY, text, [SECRET], NOW)


def test_spaces_and_other_schemes_beside_a_right_signature_do_no_harm():
    verify_signature(BODY, f"t={SECONDS}, v1={'0' * 64}, v0=x, v1={GOOD}, nonsense", [SECRET], NOW)


@pytest.mark.parametrize("secrets", [[], [""], [SECRET, ""], SECRET])
def test_without_a_secret_nothing_is_believed(secrets):
    with pytest.raises(UsageError):
        verify_signature(BODY, header(BODY, SECRET, ""), secrets, NOW)


@pytest.mark.parametrize("text", ["", header(BODY, OTHER), header(BODY, SECRET, seconds=1)])
def test_no_error_shows_a_secret_or_the_right_signature(text):
    with pytest.raises(BadSignature) as refused:
        verify_signature(BODY, text, [SECRET], NOW)
    said = f"{refused.value!r} {refused.value.message} {refused.value.hint}"
    assert SECRET not in said
    assert GOOD not in said
    assert refused.value.hint
