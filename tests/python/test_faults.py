"""The catalogue of faults: each found in its row and alone, through the whole of the gate."""

from __future__ import annotations

import pytest

from customer_loyalty.contract import INPUTS
from customer_loyalty.gate import check as gate
from customer_loyalty.gate import rules
from faults import FAULTS, clean, names, together, write
from test_gate import RUN
from warehouse import open_marts, rows_of

ROWS = 500
"""So many that of an input all that ``together`` puts together may be left out: a hundredth."""
ACTIONS = {rule.name: rule.action for name in INPUTS for rule in rules.load_suite(name)}
"""What a broken rule does, by its name."""


def upper_floors(project, settings=None) -> list:
    """The models from staging to the clean ones, with the gate in between."""
    schemas = ('"staging"', '"quality"', '"clean"')
    return [one for one in project.sql(settings or {}) if one.relation.split(".")[-2] in schemas]


@pytest.mark.parametrize(
    "faults", together(FAULTS, alike=lambda fault: ACTIONS[fault.rules[0]]), ids=names
)
def test_a_fault_is_found_in_its_rows_and_its_action_is_taken(project, refusal_sql, faults):
    raw = clean(ROWS)
    broken = write(faults, raw)

    with open_marts(upper_floors(project), raw, run=RUN) as con:
        results = {one["rule"]: one for one in rows_of(con, "from quality.gx_validation_results")}
        refusal = [text for (text,) in con.execute(refusal_sql).fetchall()]
        assert {rule for rule, one in results.items() if not one["success"]} == {
            rule for fault in faults for rule in fault.rules
        }
        quarantined: dict[str, set[int]] = {}
        for fault, rows in broken.items():
            result = results[fault.rules[0]]
            assert result["unexpected_count"] == len(rows), fault.name
            assert result["input"] == fault.input, fault.name
            assert result["element_count"] == len(raw[fault.input]), fault.name
            for row in rows:
                assert f"{fault.input}.csv row {row}" in result["examples"], fault.name
            assert bool(refusal) == (result["action"] == "stop"), fault.name
            if refusal:
                assert fault.rules[0] in refusal[0] and result["remedy"] in refusal[0], fault.name
            if result["action"] == "quarantine":
                quarantined.setdefault(fault.input, set()).update(rows)
        assert_every_row_is_there(con, raw, quarantined)
        # What is left breaks nothing that would stop.
        assert not [
            one
            for one in results.values()
            if one["left_success"] is False and one["action"] != "warn"
        ]


def test_a_cause_is_reported_before_its_consequence(project, refusal_sql):
    raw = clean()
    for order in raw["raw_orders"]:
        order["status"] = "shipped"
    with open_marts(upper_floors(project), raw, run=RUN) as con:
        [(text,)] = con.execute(refusal_sql).fetchall()
    assert "They are in quality.quarantined_raw_orders." in text
    follows = "raw_orders  orders_not_empty (stop)  broken by what remains of 39 rows"
    assert text.index("raw_orders.status  status_is_known") < text.index(follows)


def assert_every_row_is_there(con, raw, expected: dict[str, set[int]]) -> None:
    """Every row that came is in its input or in the quarantine, and the right ones are there."""
    for name in INPUTS:
        used = con.execute(
            f"select count(*) from clean.{name.replace('raw_', 'clean_')}"
        ).fetchall()[0][0]
        left_out = set()
        if name in gate.QUARANTINE:
            left_out = {
                row
                for (row,) in con.execute(
                    f"select _source_row from quality.quarantined_{name}"
                ).fetchall()
            }
        assert left_out == expected.get(name, set()), name
        assert used + len(left_out) == len(raw[name]), name
