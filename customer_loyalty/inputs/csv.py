"""CSV files (UTF-8, commas, double quotes, a header), read by a table function of DuckDB."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from customer_loyalty.contract import INPUTS
from customer_loyalty.errors import FileFault
from customer_loyalty.inputs.faults import fault, first_names
from customer_loyalty.inputs.header import check_columns, is_header
from customer_loyalty.inputs.source import Column, Source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

LINE_LIMIT = 16 * 1024 * 1024
# The first bytes of files that are not CSV, whatever their name.
SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"PK\3\4": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\x1f\x8b": "a gzip archive",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
# DuckDB then reads on after a row that it can't read, and notes it in a table.
REJECTS = (
    "store_rejects = true, rejects_table = 'csv_rejects', rejects_scan = 'csv_scans',"
    " rejects_limit = 1000"
)
REJECTED = {
    "TOO MANY COLUMNS": (
        "row_has_as_many_fields_as_header",
        "more fields than the header, which has {fields}.",
    ),
    "MISSING COLUMNS": (
        "row_has_as_many_fields_as_header",
        "fewer fields than the header, which has {fields}.",
    ),
    "UNQUOTED VALUE": ("quote_is_closed", "a double quote is not closed."),
    "LINE SIZE OVER MAXIMUM": ("line_not_too_long", "longer than 16 MB."),
    "INVALID ENCODING": ("file_is_utf_8", "not UTF-8."),
}
"""What DuckDB calls a row that it can't read: the rule that the row breaks, and what was found."""


def csv_source(con: DuckDBPyConnection, path: Path, location: str, file: str, name: str) -> Source:
    """A CSV file, of which every row could be read. Raises FileFault."""
    lines = _count_lines(path)
    header = _read_header(path, name)
    check_columns(path, name, header)
    # Columns that are not in the contract may have any name, even the same one.
    called = [f"column_{number}" for number in range(len(header))]
    types = ", ".join(f"{column}: 'varchar'" for column in called)
    # No text is read as NULL: DuckDB accepts an extra field in a row if it is NULL.
    options = f"""
        auto_detect = false, header = true, columns = {{{types}}},
        delim = ',', quote = '"', escape = '"', nullstr = []::varchar[], strict_mode = true,
        encoding = 'utf-8', hive_partitioning = false, max_line_size = {LINE_LIMIT}
    """
    rows = _count_rows(con, path, f"read_csv({location}, {options}, {REJECTS})", len(header))
    table, row = f"read_csv({location}, {options})", "row_number() over () + 1"
    if rows + 1 != lines and (gaps := _blank_lines(path)):
        table = f"""
            (select *, {row} as row_read from {table})
            asof join (
                select
                    unnest({list(gaps.values())}) as from_row,
                    unnest({list(gaps)}) as blank_lines
            ) on row_read >= from_row
        """
        row = "row_read + blank_lines"
    columns = {column: Column(one, "VARCHAR") for column, one in zip(header, called, strict=True)}
    return Source(file, table, row, {column: columns[column] for column in INPUTS[name]})


def _count_rows(con: DuckDBPyConnection, path: Path, table: str, fields: int) -> int:
    """The number of rows. Raises FileFault with every row that can't be read."""
    try:
        [(rows,)] = con.execute(f"select count(*) from {table}").fetchall()
        rejects = con.execute(
            "select error_type, list(distinct line order by line) from csv_rejects"
            " group by error_type order by min(line)"
        ).fetchall()
    except duckdb.InvalidInputException as error:
        if "state machine reached an invalid" not in str(error):
            raise
        found = "the lines do not all end the same way."
        raise fault("lines_end_alike", path, found) from None
    finally:
        con.execute("drop table if exists csv_rejects; drop table if exists csv_scans")
    faults: list[tuple[str, str]] = []
    for kind, numbers in rejects:
        rule, found = REJECTED[kind]
        place = f"row{'s' if len(numbers) > 1 else ''} {first_names([*map(str, numbers)])}"
        faults += fault(rule, path, f"{place}: {found.format(fields=fields)}").broken
    if faults:
        raise FileFault(*faults)
    return int(rows)


def _blank_lines(path: Path) -> dict[int, int]:
    """How many blank lines are before a row; the number of the first such row by it."""
    gaps: dict[int, int] = {}
    # The first row after the header is row 2, as in a spreadsheet.
    for row, number in enumerate((n for n, fields in enumerate(records(path), 1) if fields), 1):
        gaps.setdefault(number - row, row)
    return gaps if len(gaps) > 1 else {}


def _count_lines(path: Path) -> int:
    """The number of lines of a CSV file. Raises FileFault if it is not UTF-8 text."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, end = 0, b""
    with path.open("rb") as file:
        _check_start(path, file.read(4096))
        file.seek(0)
        try:
            while chunk := file.read(1 << 20):
                nul = chunk.find(b"\0")
                if nul >= 0:
                    line = lines + chunk.count(b"\n", 0, nul) + 1
                    raise fault("file_has_no_nul", path, f"line {line}: NUL character.")
                decoder.decode(chunk)
                lines, end = lines + chunk.count(b"\n"), chunk[-1:]
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start) + 1
            raise fault("file_is_utf_8", path, f"line {line}: not UTF-8.") from None
    return lines + (end != b"\n")


def _check_start(path: Path, start: bytes) -> None:
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise fault("file_not_empty", path, "the file is empty, without even a header.")
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature):
            raise fault("file_is_what_its_ending_says", path, f"is {kind}, not a CSV file.")
    # Every other byte of a header in UTF-16 is NUL.
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (
        start[:40].count(0) * 3 > len(start[:40])
    ):
        raise fault("file_is_utf_8", path, "is UTF-16 or a similar encoding.")


def records(path: Path, strict: bool = False) -> Iterator[list[str]]:
    """The records of a CSV file; a blank line has no fields."""
    csv.field_size_limit(LINE_LIMIT)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = iter(lambda: file.readline(LINE_LIMIT), "")
        yield from csv.reader(lines, skipinitialspace=True, strict=strict)


def _read_header(path: Path, name: str) -> list[str]:
    """The column names of a CSV file. Raises FileFault if its first line has none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(LINE_LIMIT)
    if len(line) == LINE_LIMIT:
        raise fault("line_not_too_long", path, "row 1: longer than 16 MB.")
    if not line.strip():
        raise fault("header_is_first_line", path, "the first line is blank.")
    if line.lower().startswith("sep="):
        raise fault("header_is_first_line", path, "the first line is sep=, which is for Excel.")
    for separator, called in SEPARATORS.items():
        if is_header([cell.strip(' "\r\n') for cell in line.split(separator)], name):
            found = f"the columns are separated by {called}."
            raise fault("columns_are_separated_by_commas", path, found)
    try:
        header = next(records(path, strict=True))
    except csv.Error:
        found = "row 1: a double quote is not closed, or not at the start of a value."
        raise fault("quote_is_closed", path, found) from None
    return [" ".join(column.split()) for column in header]
