"""Which licence follows from what up, down and up again showed, and what the policy makes of it."""

from pathlib import Path

import pytest

from wedsync_db.errors import RehearsalFailed
from wedsync_db.migrate.licence import Shown, brings_back, judge, require_licences
from wedsync_db.model import Change, Licence, Migration, MigrationProof, Plan, Rehearsal, RelationContent, Script

SCRIPT = Script(Path("0001_a/deploy.sql"), "", "0" * 64, "", ())


def migration(*, revert=True, loses=None, name="0001_a"):
    return Migration(name, 1, (), True, loses, SCRIPT, SCRIPT if revert else None, None, None)


def content(rows, digest="1"):
    return {"app.t": RelationContent("app.t", rows, digest, "m")}


CASES = {
    "all back": (Shown(), Licence.EXACT, []),
    "same content": (Shown(before=content(3), after=content(3)), Licence.EXACT, []),
    "left over": (Shown(Change({"index:app.i": (None, "{}")})), Licence.WEAKER, ["index app.i is left over"]),
    "not back": (Shown(Change({"view:app.v": ("{}", None)})), Licence.WEAKER, ["view app.v does not come back"]),
    "otherwise": (
        Shown(Change({"table:app.t": ('{"a": 1, "b": 2}', '{"a": 1, "c": 3}')})),
        Licence.WEAKER,
        ["table app.t is not as before (b, c)"],
    ),
    "rows": (Shown(before=content(3), after=content(2)), Licence.NONE, ["app.t had 3 rows and has 2"]),
    "values": (Shown(before=content(3), after=content(3, "2")), Licence.NONE, ["values in app.t are not as before"]),
    "unreadable": (Shown(before=content(3), after={}), Licence.NONE, ["the rows of app.t cannot be compared"]),
    "sequence": (Shown(gone_back=("app.s",)), Licence.NONE, ["sequence app.s goes back"]),
    "error": (Shown(revert_error="x"), Licence.NONE, ["the revert fails: x"]),
    "again": (Shown(again_error="fails: y"), Licence.NONE, ["after the revert, deploy.sql fails: y"]),
}


@pytest.mark.parametrize("case", CASES)
def test_the_licence_follows_from_what_was_shown(case):
    shown, licence, reasons = CASES[case]
    assert judge(migration(), shown) == (licence, tuple(reasons))
    assert brings_back(shown) == (licence is Licence.EXACT or case == "again")


def test_a_missing_revert_gives_none():
    assert judge(migration(revert=False), Shown()) == (Licence.NONE, ("there is no revert.sql",))


@pytest.mark.parametrize("case", ["all back", "left over", "rows", "values"])
def test_a_declared_loss_is_at_most_weaker(case):
    licence, reasons = judge(migration(loses="emails"), CASES[case][0])
    assert licence is Licence.WEAKER
    assert reasons == (*CASES[case][2], "its author says that it loses emails")


@pytest.mark.parametrize("case", ["error", "again"])
def test_a_declared_loss_does_not_excuse_an_error(case):
    assert judge(migration(loses="emails"), CASES[case][0])[0] is Licence.NONE


def test_many_objects_are_counted_and_not_listed():
    _, reasons = judge(migration(), Shown(Change({f"index:app.i{n:02}": (None, "{}") for n in range(20)})))
    assert len(reasons) == 9
    assert reasons[-1] == "and 12 more objects"


def rehearsed(*pairs):
    proofs = tuple(MigrationProof(m.id, licence, ("because",), 1.0, None, 0, (), {}) for m, licence in pairs)
    plan = Plan(tuple(m for m, _ in pairs), ())
    return Rehearsal(plan.hash, None, 180004, "", Change({}), proofs, (), 1.0), plan


@pytest.mark.parametrize(
    ("one", "licence"),
    [
        (migration(), Licence.EXACT),
        (migration(loses="x"), Licence.WEAKER),
        (migration(loses="x", revert=False), Licence.NONE),
    ],
)
def test_exact_or_declared_passes(one, licence):
    require_licences(*rehearsed((one, licence)), require_exact=True)


@pytest.mark.parametrize(
    ("one", "licence"),
    [
        (migration(), Licence.WEAKER),
        (migration(), Licence.NONE),
        (migration(revert=False), Licence.NONE),
        (migration(loses="x"), Licence.NONE),
    ],
)
def test_all_else_is_refused_unless_the_policy_only_warns(one, licence):
    rehearsal, plan = rehearsed((migration(name="0000_good"), Licence.EXACT), (one, licence))
    with pytest.raises(RehearsalFailed, match=r"0001_a \(because\)") as failure:
        require_licences(rehearsal, plan, require_exact=True)
    assert "0000_good" not in failure.value.message
    assert "-- loses:" in failure.value.hint
    require_licences(rehearsal, plan, require_exact=False)


def test_what_was_not_rehearsed_is_refused():
    rehearsal, _ = rehearsed()
    with pytest.raises(RehearsalFailed, match="0001_a was not rehearsed"):
        require_licences(rehearsal, Plan((migration(),), ()), require_exact=True)
