"""One of the three files of rules is not loaded."""

from alerts.notice import Severity
from tests.support.states import BEGIN, Alert, State, well

STATE = State(
    key="monitoring 14",
    title="a file of alert rules is not loaded",
    produced="zsr.yml is not among the rule_files",
    fleet=lambda since: well(BEGIN + since),
    lasts=30,
    alerts=(
        Alert("ZsrRulesMissing", Severity.CRITICAL, 16, {"file": "zsr.yml"}),
        Alert("ZsrRulesBlind", Severity.CRITICAL, 16),
    ),
    unloaded=frozenset({"zsr.yml"}),
    why_silent="nothing is wrong with zsr itself, and it does not know which rules Prometheus has.",
)
