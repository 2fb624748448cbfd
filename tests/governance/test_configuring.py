"""Who may change rules and keys is decided and on record, a refusal too."""

import pytest

from governance.configuring import permit
from governance.errors import DeniedError
from governance.principals import Principal
from governance.rules import add, load_rules
from kg.clock import Clock
from kg.store import GraphStore
from tests.governance.world import ontology

ADMIN = Principal("User", "ada", frozenset({"admin"}))
CLERK = Principal("User", "carl", frozenset({"clerk"}))


def test_only_whom_a_rule_permits_and_always_on_record(store: GraphStore, clock: Clock) -> None:
    words = ontology()
    add(store, clock, words, '@id("admins") permit(principal in Role::"admin", action, resource);', ADMIN, "test")
    permit(store, clock, load_rules(store, words), ADMIN, "rule.add", "Rule", "r")
    with pytest.raises(DeniedError, match=r"rule\.retire"):
        permit(store, clock, load_rules(store, words), CLERK, "rule.retire", "Rule", "admins")
    decided = {(e["principal"], e["action"], e["outcome"]) for e in store.find("Decision", first=10).items}
    assert decided == {(ADMIN.uid, "configure", "allow"), (CLERK.uid, "configure", "deny")}
