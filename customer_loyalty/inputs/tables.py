"""Check the source tables: raw rows in a schema that a shop or a loader keeps."""

from __future__ import annotations

from collections.abc import Sequence

from customer_loyalty.contract import INPUTS, REQUIRED
from customer_loyalty.engine import Engine
from customer_loyalty.errors import Refusal
from customer_loyalty.inputs.faults import first_names
from customer_loyalty.inputs.names import nearest


def check_table(engine: Engine, schema: str, name: str) -> None:
    """Raise Refusal if the table of input ``name`` lacks a column, or is required and missing.

    An optional table may be missing, unless another one has a similar name.
    """
    if fault := _fault(engine, schema, name, engine.columns(schema, name)):
        raise Refusal(f"The source tables can't be read (raw_schema: {schema}):\n  - {fault}")


def _fault(engine: Engine, schema: str, name: str, columns: Sequence[str]) -> str | None:
    missing = [column for column in INPUTS[name] if column not in columns]
    if columns and not missing:
        return None
    if columns:
        others = [column for column in columns if column not in INPUTS[name]]
        return (
            f"{schema}.{name}: missing columns: {', '.join(missing)}."
            f" Found: {first_names(columns)}.{_renames(missing, others, 0.7)}"
            " Add them, empty if you have no values; a view over the table will do."
        )
    tables = engine.tables(schema)
    others = [table for table in tables if table not in INPUTS]
    if name in REQUIRED:
        return (
            f"{schema}.{name}: table or view not found. Found in the schema:"
            f" {first_names(tables) or 'nothing'}.{_renames([name], others, 0.7)}"
            " Create it, or set raw_schema to the schema of your tables."
        )
    if renames := _renames([name], others, 0.85):
        # A similar name is more likely a misspelt input than another table.
        return (
            f"{schema}.{name}: table or view not found.{renames} If that is something else,"
            f" create {schema}.{name}, without rows if you have none."
        )
    return None


def _renames(missing: Sequence[str], found: Sequence[str], cutoff: float) -> str:
    near = {name: nearest(name, found, cutoff) for name in missing}
    return "".join(f" Rename {old} to {new}." for new, old in near.items() if old)
