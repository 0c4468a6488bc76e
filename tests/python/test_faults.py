"""The catalogue of faults: each alone in clean inputs, through the whole of the gate."""

from __future__ import annotations

import pytest

from customer_loyalty import gate
from customer_loyalty.contract import INPUTS
from faults import FAULTS, clean
from test_gate import RUN
from warehouse import open_marts, rows_of

PLACE = 4
"""A row that no other row refers to."""


def upper_floors(project, settings=None) -> list:
    """The models from staging to the inputs: what the gate stands between."""
    schemas = ('"staging"', '"quality"', '"inputs"')
    return [one for one in project.sql(settings or {}) if one.relation.split(".")[-2] in schemas]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name.replace(" ", "_"))
def test_a_fault_is_found_where_it_is_and_done_with_as_its_rule_says(project, refusal_sql, fault):
    raw = clean()
    rows = fault.write(raw, PLACE)

    with open_marts(upper_floors(project), raw, run=RUN) as con:
        results = {one["rule"]: one for one in rows_of(con, "from quality.gx_validation_results")}
        refusal = [text for (text,) in con.execute(refusal_sql).fetchall()]
        judged_by = results[fault.rules[0]]
        assert {rule for rule, one in results.items() if not one["success"]} == set(fault.rules)
        assert judged_by["unexpected_count"] == len(rows)
        assert judged_by["input"] == fault.input
        assert judged_by["element_count"] == len(raw[fault.input])
        for row in rows:
            assert f"{fault.input}.csv row {row}" in judged_by["examples"]
        assert bool(refusal) == (judged_by["action"] == "stop")
        if refusal:
            assert fault.rules[0] in refusal[0] and judged_by["remedy"] in refusal[0]
        quarantined = rows if judged_by["action"] == "quarantine" else set()
        assert_every_row_is_there(con, raw, {fault.input: quarantined})
        # What is left breaks nothing that would stop.
        assert not [
            one
            for one in results.values()
            if one["left_success"] is False and one["action"] != "warn"
        ]


def test_a_cause_is_told_before_what_follows_from_it(project, refusal_sql):
    raw = clean()
    for order in raw["raw_orders"]:
        order["status"] = "shipped"
    with open_marts(upper_floors(project), raw, run=RUN) as con:
        [(text,)] = con.execute(refusal_sql).fetchall()
    assert "They are in quality.quarantined_raw_orders." in text
    follows = "raw_orders  orders_not_empty (stop)  broken by what is left of 39 rows"
    assert text.index("raw_orders.status  status_is_known") < text.index(follows)


def assert_every_row_is_there(con, raw, expected: dict[str, set[int]]) -> None:
    """Every row that came is in its input or in the quarantine, and the right ones are there."""
    for name in INPUTS:
        used = con.execute(
            f"select count(*) from inputs.{name.replace('raw_', 'input_')}"
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
