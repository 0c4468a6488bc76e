"""Sources, and a source system that somebody adds to the project, as CONTRIBUTING.md says."""

from __future__ import annotations

import ast
import re

import duckdb
import yaml

from customer_loyalty.contract import FILE
from faults import clean
from warehouse import PROJECT, copy_project, run_dbt, write_csv

ENTRY = "'demo': entities(),"
FILES = {
    "_acme__sources.yml": """
sources:
  - name: acme
    tables:
      - name: client
      - name: sale
""",
    "stg_acme__customers.sql": """
{{ config(materialized='ephemeral') }}

select
    cast(client_number as varchar) as customer_id,
    strftime(joined, '%Y-%m-%d') as signed_up_at,
    cast(null as varchar) as email,
    cast(null as varchar) as full_name,
    land as country_code,
    cast(null as varchar) as language_code,
    cast(null as varchar) as acquisition_channel,
    'acme.client' as _source_file,
    cast(null as bigint) as _source_row
from {{ source('acme', 'client') }}
""",
    "stg_acme__orders.sql": """
{{ config(materialized='ephemeral') }}

select
    'S-' || sale_number as order_id,
    cast(client_number as varchar) as customer_id,
    cast(sold_at as varchar) as ordered_at,
    case state when 'done' then 'completed' else state end as status,
    'EUR' as currency_code,
    cast(total as varchar) as amount,
    cast(null as varchar) as refunded_amount,
    'acme.sale' as _source_file,
    cast(null as bigint) as _source_row
from {{ source('acme', 'sale') }}
""",
}


def test_an_added_system_is_read_only_where_sources_names_it(tmp_path):
    copy = copy_project(tmp_path / "copy")
    macro = copy / "macros" / "staging" / "sources.sql"
    text = macro.read_text("utf-8")
    assert text.count(ENTRY) == 1
    changed = text.replace(ENTRY, f"{ENTRY}\n        'acme': ['customers', 'orders'],")
    macro.write_text(changed, "utf-8")
    folder = copy / "models" / "staging" / "acme"
    folder.mkdir()
    for name, content in FILES.items():
        (folder / name).write_text(content.lstrip(), "utf-8")
    write_csv(tmp_path / "raw", clean())

    # Its tables do not even exist.
    settings = {"raw_data": str(tmp_path / "raw")}
    run = run_dbt(tmp_path / "home", "build", vars=settings, project=copy)
    assert run.exit_code == 0 and " PUBLISHED: " in run.output, run.output
    assert "acme" not in run.output

    with duckdb.connect(run.warehouse) as con:
        con.execute("create schema acme")
        con.execute(
            "create table acme.client as select 1 + i as client_number,"
            " date '2024-01-01' + i::integer as joined, 'FI' as land from range(30) as t (i)"
        )
        con.execute(
            "create table acme.sale as select i as sale_number, 1 + i % 30 as client_number,"
            " timestamp '2025-01-01 10:00:00' + interval (i) hour as sold_at, 'done' as state,"
            " 10.5 as total from range(300) as t (i)"
        )
    run = run_dbt(tmp_path / "home", "build", vars={"sources": ["acme"]}, project=copy)
    assert run.exit_code == 0 and " PUBLISHED: " in run.output, run.output
    with duckdb.connect(run.published, read_only=True) as con:
        found = con.execute(
            "select source_system, count(*), sum(orders) from marts.customers group by all"
        ).fetchall()
    assert found == [("acme", 30, 300)]


def test_staged_models_have_the_types_of_the_contract():
    """They repeat them, because the contract can't be read in unit tests."""
    [source] = yaml.safe_load(FILE.read_text("utf-8"))["sources"]
    for table in source["tables"]:
        entity = table["name"].removeprefix("raw_")
        sql = (PROJECT / "models" / "staging" / f"staged_{entity}.sql").read_text("utf-8")
        [columns] = re.findall(rf"union_sources\('{entity}', ({{.*?}})\)", sql, re.DOTALL)
        expected = {
            column["name"]: column["data_type"].replace("varchar", "text")
            for column in table["columns"]
        }
        assert ast.literal_eval(columns) == expected, entity
