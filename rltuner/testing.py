"""For the tests of your own rules.

from rltuner.testing import check_rule

def test_my_rule_keeps_the_contract():
    check_rule("my_rule")
"""

from __future__ import annotations

from typing import Any

from rltuner.rules.check import Findings, examine
from rltuner.rules.contract import Rule
from rltuner.rules.making import make_rule

__all__ = ["check_rule"]


def check_rule(rule: str | Rule | type, **parameters: Any) -> Findings:
    """Asserts that a rule keeps its contract (see `rltuner.rules.check`) on melodies of many kinds.

    Args:
      rule: a registered rule's name; a rule; or the frozen dataclass of one.
      parameters: of the rule, where a name or dataclass is given; the others have their defaults.

    Returns:
      What was found, with the rule's cost in microseconds an event.

    Raises AssertionError, with an example for every check that fails; InputError for an unknown rule or parameter.
    """
    if isinstance(rule, str):
        name, made = rule, make_rule(rule, parameters)
    else:
        name = getattr(rule, "__name__", type(rule).__name__)
        made = rule(**parameters) if isinstance(rule, type) else rule
    findings = examine(name, made)
    assert not findings.failures, "; ".join(findings.failures.values())
    return findings
