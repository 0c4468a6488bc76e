"""Parquet files, checked and read by a table function of DuckDB."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from customer_loyalty.contract import INPUTS
from customer_loyalty.inputs.faults import fault
from customer_loyalty.inputs.header import check_columns
from customer_loyalty.inputs.source import Column, Source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

NESTED = {"array", "blob", "list", "map", "struct", "union", "variant"}


def parquet_source(
    con: DuckDBPyConnection, path: Path, location: str, file: str, name: str
) -> Source:
    """A Parquet file, of which every value could be read. Raises FileFault."""
    with path.open("rb") as opened:
        start = opened.read(4)
    if not start:
        raise fault("file_not_empty", path, "the file is empty.")
    if start != b"PAR1":
        raise fault("file_is_what_its_ending_says", path, "is not a Parquet file.")
    schema = con.execute(f"select name, num_children from parquet_schema({location})").fetchall()
    found, nested = [], 0
    for column, children in schema[1:]:
        if nested:
            nested += (children or 0) - 1
        else:
            found.append(column)
            nested = children or 0
    check_columns(path, name, found)
    options = "binary_as_string = true, hive_partitioning = false"
    relation = con.query(f"select * from read_parquet({location}, {options})")
    # DuckDB ignores case, and adds numbers to names that appear twice.
    called = dict(zip(found, relation.columns, strict=True))
    types = dict(zip(found, relation.types, strict=True))
    strange = [column for column in INPUTS[name] if types[column].id in NESTED]
    if strange:
        raise fault(
            "parquet_value_is_plain", path, f"column {', '.join(strange)} is a list or binary."
        )
    columns = {column: Column(f'"{called[column]}"', str(types[column])) for column in INPUTS[name]}
    # Damage within a file shows only where its values are read.
    values = ", ".join(f"max({column.expression})" for column in columns.values())
    con.execute(f"select {values} from read_parquet({location}, {options})").fetchall()
    if "file_row_number" in map(str.lower, found):
        return Source(file, f"read_parquet({location}, {options})", "row_number() over ()", columns)
    table = f"read_parquet({location}, {options}, file_row_number = true)"
    return Source(file, table, "file_row_number + 1", columns)
