"""What findings, policies and overrides come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wedsync_db.errors import Refused, TargetHeld, UsageError
from wedsync_db.guard.checks import QUESTIONS
from wedsync_db.guard.decide import NOT_OVERRIDABLE, RULES, GuardReport, Override, decide, parse_overrides, require_open
from wedsync_db.model import Finding, Severity

rules = st.sampled_from(sorted(RULES))
findings = st.builds(Finding, rules, st.sampled_from(Severity), st.just("it is so"), st.just("Do this"))


def bad(rule):
    return Finding(rule, Severity.ERROR, f"{rule} is bad", f"Mend {rule}")


def test_every_question_has_a_rule_and_the_other_way_round():
    assert list(QUESTIONS) == list(RULES)
    assert RULES.keys() >= NOT_OVERRIDABLE


def test_an_error_refuses_and_says_what_clears_it():
    report = decide([bad("disk"), bad("rows"), Finding("role", Severity.NOTE, "n")], {})
    assert report.refused == (bad("disk"), bad("rows"))
    with pytest.raises(Refused) as caught:
        require_open(report)
    assert caught.value.exit_code == 3
    assert caught.value.message == "the guard refuses: disk is bad (and 1 more: rows)"
    assert caught.value.hint == "Mend disk. Or: --override disk=REASON"


def test_a_holder_has_its_own_error_and_no_way_round():
    with pytest.raises(TargetHeld) as caught:
        require_open(decide([bad("held")], {}))
    assert caught.value.message == "the guard refuses: held is bad"
    assert caught.value.hint == "Mend held."


def test_nothing_bad_is_open():
    require_open(GuardReport((), ()))
    require_open(decide([Finding("replication", Severity.WARNING, "w")], {}))


@pytest.mark.parametrize(("policy", "severity"), [("warn", Severity.WARNING), ("refuse", Severity.ERROR)])
def test_the_policy_decides_whether_a_rule_refuses(policy, severity):
    report = decide([bad("freeze")], {"freeze": policy})
    assert [f.severity for f in report.findings] == [severity]
    assert bool(report.refused) is (policy == "refuse")


def test_an_override_is_recorded_with_its_reason():
    overrides = parse_overrides(["freeze = fix for  tonight's wedding", "disk=a=b"])
    assert overrides == (Override("freeze", "fix for tonight's wedding"), Override("disk", "a=b"))
    report = decide([bad("freeze")], {}, overrides)
    assert report.refused == ()
    assert report.overrides == overrides
    assert report.findings[0].severity is Severity.WARNING
    assert report.findings[0].message == "freeze is bad (overridden: fix for tonight's wedding)"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("freez=x", "there is no guard rule 'freez'; did you mean 'freeze'?"),
        ("=x", "there is no guard rule ''"),
        ("freeze", "the override of freeze has no reason"),
        ("freeze= ", "the override of freeze has no reason"),
        ("held=x", "the guard rule held cannot be overridden"),
    ],
)
def test_a_wrong_override_is_a_usage_error(text, said):
    with pytest.raises(UsageError) as caught:
        parse_overrides([text])
    assert caught.value.message == said
    assert caught.value.hint


@given(st.lists(findings), st.dictionaries(rules, st.sampled_from(["warn", "refuse"])), st.lists(rules))
def test_nothing_is_lost_and_nothing_unoverridable_is_overridden(found, policies, overridden):
    report = decide(found, policies, tuple(Override(rule, "because") for rule in overridden))
    assert [f.rule for f in report.findings] == [f.rule for f in found]
    for before, after in zip(found, report.findings, strict=True):
        excused = policies.get(before.rule) == "warn" or (
            before.rule in overridden and before.rule not in NOT_OVERRIDABLE
        )
        expected = Severity.WARNING if before.severity is Severity.ERROR and excused else before.severity
        assert after.severity is expected
    assert set(report.refused) == {f for f in report.findings if f.severity is Severity.ERROR}
