"""Each macro of macros/cross_db/ says on every engine what it says on DuckDB, on its hard cases."""

from __future__ import annotations

import re
from datetime import date, datetime
from decimal import Decimal
from hashlib import md5

import duckdb
import pytest

from servers import on_each_engine
from warehouse import rows_of

WHITE_SPACE = "\t\n\u00a0\u2003\u3000 "

# An expression, and its value.
EXPRESSIONS = {
    "{{ trim_text('spaced') }}": "ä b",
    "{{ trim_text('blank') }}": None,
    "{{ matches(\"'2025x'\", '[0-9]{4}') }}": False,
    "{{ matches(\"'2025'\", '[0-9]{4}') }}": True,
    "{{ text_to_decimal(\"'+00012.50000'\", 18, 4) }}": Decimal("12.5"),
    "{{ text_to_decimal(\"'.5'\", 18, 4) }}": Decimal("0.5"),
    "{{ text_to_decimal(\"'1.00001'\", 18, 4) }}": None,
    "{{ text_to_decimal(\"'-19.990000000000002'\", 18, 4) }}": Decimal("-19.99"),
    "{{ text_to_decimal(\"'0.0333333333333333'\", 18, 4) }}": None,
    "{{ text_to_decimal(\"'1e3'\", 18, 4) }}": None,
    "{{ text_to_decimal(\"'99999999999999.9999'\", 18, 4) }}": Decimal("99999999999999.9999"),
    "{{ text_to_integer(\"'-007.0'\") }}": -7,
    "{{ text_to_integer(\"'7.5'\") }}": None,
    "{{ text_to_date(\"'2024-02-29'\") }}": date(2024, 2, 29),
    "{{ text_to_date(\"'2023-02-29'\") }}": None,
    "{{ text_to_date(\"'1900-02-29'\") }}": None,
    "{{ text_to_date(\"'2024-13-01'\") }}": None,
    "{{ text_to_date(\"'2024-04-31'\") }}": None,
    "{{ text_to_date(\"'0001-01-01'\") }}": date(1, 1, 1),
    "{{ text_to_date(\"'2024-01-01 00:00:00.000'\") }}": date(2024, 1, 1),
    "{{ text_to_date(\"'2024-01-01 00:00:01'\") }}": None,
    "{{ text_to_timestamp(\"'2025-01-31'\") }}": datetime(2025, 1, 31),
    "{{ text_to_timestamp(\"'2025-01-31T08:15'\") }}": datetime(2025, 1, 31, 8, 15),
    "{{ text_to_timestamp(\"'2025-01-31 08:15:09.1234560'\") }}": datetime(
        2025, 1, 31, 8, 15, 9, 123456
    ),
    "{{ text_to_timestamp(\"'1925-12-31 23:59:59.9999999'\") }}": datetime(
        1925, 12, 31, 23, 59, 59, 999999
    ),
    "{{ text_to_timestamp(\"'2025-01-01T01:59:59.9999999+02:00'\") }}": datetime(
        2024, 12, 31, 23, 59, 59, 999999
    ),
    "{{ text_to_timestamp(\"'2025-01-31T24:00'\") }}": datetime(2025, 2, 1),
    "{{ text_to_timestamp(\"'2025-01-31 24:00:00+02:00'\") }}": datetime(2025, 1, 31, 22),
    "{{ text_to_timestamp(\"'2025-01-31T24:30'\") }}": None,
    "{{ text_to_timestamp(\"'2025-01-31T25:00'\") }}": None,
    "{{ text_to_timestamp(\"'2025-02-30T10:00'\") }}": None,
    "{{ text_to_timestamp(\"'2025-03-01T00:30Z'\") }}": datetime(2025, 3, 1, 0, 30),
    "{{ text_to_timestamp(\"'2025-03-01 00:30-0930'\") }}": datetime(2025, 3, 1, 10),
    "{{ text_to_timestamp(\"'2025-03-01 00:30:00.25+02'\") }}": datetime(
        2025, 2, 28, 22, 30, 0, 250000
    ),
    "{{ text_to_timestamp(\"'2025-03-01 00:30:00+15:00'\") }}": None,
    "{{ add_days('leap_day', 366) }}": date(2025, 3, 1),
    "{{ add_days('leap_day', -60) }}": date(2023, 12, 31),
    "{{ add_months('month_end', 1) }}": date(2024, 2, 29),
    "{{ add_months('leap_day', -12) }}": date(2023, 2, 28),
    "{{ add_months('leap_day', 1) }}": date(2024, 3, 29),
    "{{ days_between('month_end', 'leap_day') }}": 29,
    "{{ days_between('leap_day', 'month_end') }}": -29,
    "{{ months_between('month_end', 'leap_day') }}": 1,
    "{{ months_between('leap_day', \"cast('2023-12-31' as date)\") }}": -2,
    # A Sunday: the week began on Monday, in another year.
    "{{ first_day_of('week', \"cast('2023-01-01' as date)\") }}": date(2022, 12, 26),
    "{{ first_day_of('month', 'leap_day') }}": date(2024, 2, 1),
    "{{ first_day_of('quarter', \"cast('2024-12-31' as date)\") }}": date(2024, 10, 1),
    "{{ first_day_of('year', 'leap_day') }}": date(2024, 1, 1),
    "{{ local_date('evening', 'UTC') }}": date(2025, 3, 29),
    "{{ local_date('evening', 'Europe/Helsinki') }}": date(2025, 3, 30),
    "{{ local_date('evening', 'America/New_York') }}": date(2025, 3, 29),
    "{{ local_date('evening', 'Pacific/Auckland') }}": date(2025, 3, 30),
    "{{ exact_difference(exact_product('3.0001', '1.0000000001'), exact_product('1', '1')) }}": (
        Decimal("2.00010000030001")
    ),
    "{{ is_same('leap_day', 'leap_day') }}": True,
    "{{ is_same('leap_day', 'month_end') }}": False,
    "{{ is_same('leap_day', 'cast(null as date)') }}": False,
    "{{ is_same('blank', 'blank') }}": True,
    '{{ is_same("nullif(blank, blank)", "nullif(spaced, spaced)") }}': True,
    "{{ as_double('1') }} / 4": 0.25,
    "{{ exact_product('98765432109876.5432', '149.3512345678') }}": Decimal(
        "14750739218232297.66656221002896"
    ),
    '{{ text_literal("it\'s \\\\ {} ä") }}': "it's \\ {} ä",
    "{{ text_literal('${env:PATH} $1') }}": "${env:PATH} $1",
    "{{ text_literal(none) }}": None,
    "{{ erfc(as_double('1')) }}": pytest.approx(0.15729921, abs=2e-7),
    "{{ erfc(as_double('40')) }}": pytest.approx(0, abs=2e-7),
    "{{ percentage('1', '0') }}": None,
    "{{ customer_key(\"'demo'\", \"'ä'\") }}": md5("demo:ä".encode()).hexdigest(),
}
BLANK = WHITE_SPACE.replace("\n", "\\n").replace("\t", "\\t")
# Aggregates, which no engine evaluates while it plans.
GIVEN = f"""
    select
        max('') as nothing,
        max({{{{ text_literal('{BLANK}ä b\u2028') }}}}) as spaced,
        max({{{{ text_literal('{BLANK}') }}}}) as blank,
        max(cast('2024-02-29' as date)) as leap_day,
        max(cast('2024-01-31' as date)) as month_end,
        max(cast('2025-03-29 22:30:00' as timestamp)) as evening
    from (select 1 as one) as one_row
"""

# A select, and its rows, ordered by all columns.
SELECTS = {
    "with spans as (select 1 as id, cast('2024-02-27' as date) as first_on,"
    " cast('2024-03-01' as date) as last_on union all select 2, cast('2024-03-02' as date),"
    " cast('2024-03-01' as date) union all select 3, cast(null as date), cast(null as date))"
    " select * from ({{ each_day('spans', ['id'], 'first_on', 'last_on') }}) as days": [
        (1, date(2024, 2, 27)),
        (1, date(2024, 2, 28)),
        (1, date(2024, 2, 29)),
        (1, date(2024, 3, 1)),
    ],
    "with texts as (select 1 as id, 'b' as text union all select 1, 'ä' union all select 1, 'Z'"
    " union all select 1, 'a' union all select 2, 'c' union all select 3, cast(null as "
    "{{ dbt.type_string() }})) select id, {{ joined_text('text', \"', '\","
    " order_by=[in_byte_order('text')]) }} as joined, {{ joined_text('text', \"'; '\","
    " order_by=[in_byte_order('text')], where=\"text != 'a'\") }} as some"
    " from texts group by id": [(1, "Z, a, b, ä", "Z; b; ä"), (2, "c", "c"), (3, None, None)],
}


def query() -> str:
    """One select of all expressions: an engine is asked once."""
    items = [
        re.sub(r"\"('.*?')\"", r'"(nothing || \1)"', expression) + f" as v{number}"
        for number, expression in enumerate(EXPRESSIONS)
    ]
    return f"with given as ({GIVEN}) select {', '.join(items)} from given"


def assert_values(row: dict) -> None:
    """Hold the values of the expressions against those that they must have."""
    wrong = {
        expression: (value, expected)
        for (expression, expected), value in zip(EXPRESSIONS.items(), row.values(), strict=True)
        if value != expected
    }
    assert not wrong


def in_order(rows: list[dict]) -> list[tuple]:
    return sorted((tuple(row.values()) for row in rows), key=str)


def test_expressions(project):
    with duckdb.connect() as con:
        [row] = rows_of(con, project.rendered(query()))
    assert_values(row)


@pytest.mark.parametrize("sql", SELECTS)
def test_selects(project, sql):
    with duckdb.connect() as con:
        assert in_order(rows_of(con, project.rendered(sql))) == SELECTS[sql]


@pytest.mark.engines
@on_each_engine
def test_on_each_engine(server, tmp_path):
    [row] = server.asked(tmp_path, query())
    assert_values(row)
    for sql, expected in SELECTS.items():
        assert in_order(server.asked(tmp_path, sql)) == expected
