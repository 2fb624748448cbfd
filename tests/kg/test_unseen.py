"""Names with characters that nobody sees are refused wherever one is given; any other script is not."""

import pytest

from coordination.workflow.document import parse
from coordination.workflow.validation import validate
from governance.errors import PeopleError
from governance.peoplefile import read_people
from kg.unseen import unseen

FLOW = """document: {{dsl: '1.0.3', namespace: test, name: one, version: 0.1.0}}
do:
  - "{name}": {{set: {{a: 1}}}}
"""
PEOPLE = ('roles: ["{}"]', 'departments: ["{}"]', 'users: [{{name: "{}"}}]', 'services: [{{name: "{}"}}]')
MARKS = ("\\u200f", "\\u202e", "\\u2066", "\\u200b", "\\u0007", "\\ufeff", "\\u2028")


@pytest.mark.parametrize("mark", MARKS)
def test_no_name_holds_what_nobody_sees(mark: str) -> None:
    name, code = f"pay{mark}er", f"U+{mark[2:].upper()}"
    (found,) = validate(parse(FLOW.format(name=name)))
    assert found.message == f"a task name holds {code}, which nobody sees; type the name anew"
    for text in PEOPLE:
        with pytest.raises(PeopleError, match=f"holds {code.replace('+', '[+]')}, which nobody sees"):
            read_people(text.format(name))


@pytest.mark.parametrize("name", ["Zoë", "משה", "محمد", "太郎", "zahl an", "e\u0301"])
def test_any_script_is_a_name(name: str) -> None:
    assert unseen(name) == ""
    assert validate(parse(FLOW.format(name=name))) == ()
    assert read_people(f"users: [{{name: {name}}}]").principals[0].name == name
