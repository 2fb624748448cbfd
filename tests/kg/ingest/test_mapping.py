"""Mapping files: what is refused, with its line, and that damage never ends in anything but a MappingError."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.errors import MappingError
from kg.ingest import check_mapping, load_mapping
from tests.kg.ingest.parts import ORDERS, company
from tests.kg.ingest.test_sources_meet import CRM, DESK, ERP

TABLE = "source: x\ntables:\n  - from: t.csv\n    class: Order\n    key: { orderNo: no }\n"

CUSTOMER = TABLE.replace("Order\n", "Customer\n").replace("orderNo", "customerNo")
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{chr(98 + i)}: &{chr(98 + i)} [{','.join(['*' + chr(97 + i)] * 9)}]\n" for i in range(8)
)

#: name -> (mapping, line, words). The mapping is checked against the company's ontology too.
REFUSED: dict[str, tuple[str, int | None, str]] = {
    "empty": ("", None, "is empty"),
    "no mapping": ("- a\n", 1, "`name: value`"),
    "malformed": ("source: [a\ntables: b", 2, "not valid YAML"),
    "tabs": ("source: x\n\ttables: y", 2, "not valid YAML"),
    "python object": ("source: !!python/object/apply:os.system [ls]\ntables: []", 1, "python"),
    "custom tag": ("source: !mine x\ntables: []", 1, "the tag !mine is not allowed"),
    "twice": ("source: x\nsource: y\n", 2, "stands twice"),
    "unknown field": ("source: x\ntable: y\n", 2, "did you mean tables"),
    "no source": ("tables: []\n", 1, "has no 'source'"),
    "bad source": ("source: 'a b/c'\ntables: []\n", 1, "source must be"),
    "no tables": ("source: x\ntables: []\n", 2, "at least one item"),
    "unknown zone": ("source: x\ntime_zone: Mars/Base\n" + TABLE[10:], 2, "unknown time zone"),
    "path as zone": ("source: x\ntime_zone: ../../etc/passwd\n" + TABLE[10:], 2, "unknown time zone"),
    "no class": ("source: x\ntables:\n  - from: t.csv\n    key: { a: b }\n", 3, "has no 'class'"),
    "no key": (TABLE.replace("{ orderNo: no }", "{}"), 5, "key is empty"),
    "key is a list": (TABLE.replace("{ orderNo: no }", "[a]"), 5, "must be a list of `name: value`"),
    "same table twice": (TABLE + TABLE[TABLE.index("  - from") :], 6, "stands already in line 3"),
    "unknown type": (TABLE + "    properties: { pieces: { column: a, type: float } }\n", 6, "must be one of string"),
    "column and jq": (TABLE + "    properties: { pieces: { column: a, jq: .b } }\n", 6, "either `column` or `jq`"),
    "neither": (TABLE + "    properties: { pieces: { round: 2 } }\n", 6, "either `column` or `jq`"),
    "bad round": (TABLE + "    properties: { pieces: { column: a, round: 9 } }\n", 6, "round must be"),
    "bad unit": (TABLE + "    properties: { pieces: { column: a, unit: years } }\n", 6, "unit must be one of"),
    "bad currency": (TABLE + "    properties: { pieces: { column: a, currency: euro } }\n", 6, "no currency code"),
    "bad jq": (TABLE + "    properties:\n      pieces: { jq: '.a +' }\n", 7, "jq program is not usable"),
    "jq import": (TABLE + "    where: 'import \"x\" as x; .'\n", 6, "jq program is not usable"),
    "bad share": (TABLE + "    close_at_most: 20\n", 6, "between 0 and 1"),
    "bad snapshot": (TABLE + "    snapshot: whole\n", 6, "full, partial"),
    "cursor of a full": (TABLE + "    snapshot: full\n    cursor: at\n", 7, "never sees all rows"),
    "log without time": (TABLE + "    log: true\n", 6, "say by `valid_from`"),
    "log of a snapshot": (TABLE + "    log: true\n    valid_from: at\n    snapshot: full\n", 8, "remove it, or `log`"),
    "log is a word": (TABLE + "    log: ever\n    valid_from: at\n", 6, "log must be true or false"),
    "match without alias": (TABLE + "    match: vat\n", 6, "no alias of this table"),
    "bad delimiter": (TABLE + "    delimiter: ';;'\n", 6, "one character"),
    "bad encoding": (TABLE + "    encoding: klingon\n", 6, "unknown encoding"),
    "unknown class": (TABLE.replace("Order\n", "Ordr\n"), 3, "did you mean Order"),
    "unknown property": (TABLE + "    properties:\n      peices: a\n", 7, "did you mean pieces"),
    "unknown key": (TABLE.replace("orderNo", "orderNumber"), 5, "did you mean orderNo"),
    "type against the ontology": (
        TABLE + "    properties: { pieces: { column: a, type: string } }\n",
        6,
        "is a integer, not a string",
    ),
    "unknown relation": (TABLE + "    relations: { placed_by: c }\n", 6, "did you mean placedBy"),
    "relation to another class": (
        TABLE + "    relations: { placedBy: { column: c, to: Order } }\n",
        6,
        "leads to Customer, not to Order",
    ),
    "unknown target": (TABLE + "    relations: { placedBy: { column: c, to: Custmer } }\n", 6, "did you mean Customer"),
    "misspelt by": (
        TABLE + "    relations: { placedBy: { column: c, by: custmerNo } }\n",
        6,
        "did you mean customerNo",
    ),
    "too many columns": (TABLE + "    relations: { placedBy: [a, b] }\n", 6, "a column for each"),
    "by and columns": (TABLE + "    relations: { placedBy: { column: [a], by: [b, c] } }\n", 6, "1 values for 2"),
    "money without currency": (CUSTOMER + "    properties:\n      creditLimit: a\n", 7, "add `currency: EUR`"),
    "billion laughs": (LAUGHS, None, "too many"),
    "deep": ("a: " + "[" * 100 + "]" * 100, None, "deeply nested"),
    "very deep": ("[" * 20_000, None, "mapping.yaml"),
    "self-containing": ("a: &a [*a]\n", None, "deeply nested"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused_with_line_and_remedy(tmp_path: Path, case: str) -> None:
    text, line, words = REFUSED[case]
    path = tmp_path / "mapping.yaml"
    path.write_text(text)
    with pytest.raises(MappingError) as caught:
        check_mapping(load_mapping(path), company())
    message = str(caught.value)
    assert words in message, message
    if line is not None:
        assert message.startswith(f"mapping.yaml line {line}: "), message


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(MappingError, match="No such file"):
        load_mapping(tmp_path / "none.yaml")
    with pytest.raises(MappingError, match="cannot be read"):
        load_mapping(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"source: x\n# caf\xe9\n")
    with pytest.raises(MappingError, match=r"latin\.yaml line 2: is not UTF-8"):
        load_mapping(tmp_path / "latin.yaml")


def test_names_that_yaml_would_read_as_something_else(tmp_path: Path) -> None:
    path = tmp_path / "mapping.yaml"
    path.write_text(TABLE.replace("no }", "no }\n    properties: { pieces: on, weight: 1.0, orderedAt: 2026-01-01 }"))
    (table,) = load_mapping(path).tables
    assert [item.pick.column for item in (*table.key.values(), *table.properties.values())] == [
        "no",
        "on",
        "1.0",
        "2026-01-01",
    ]


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(st.data())
def test_a_damaged_mapping_never_ends_in_anything_but_a_mapping_error(tmp_path: Path, data: st.DataObject) -> None:
    text = data.draw(st.sampled_from([ORDERS, CRM, ERP, DESK]))
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 10))
        text = text[:at] + data.draw(st.text(st.characters(exclude_categories=["Cs"]), max_size=6)) + text[at + cut :]
    path = tmp_path / "mapping.yaml"
    path.write_text(text, encoding="utf-8")
    try:
        check_mapping(load_mapping(path), company())
    except MappingError as error:
        message = str(error)
    else:
        return
    assert message.startswith("mapping.yaml")
