"""CSV files (UTF-8, commas, double quotes, a header), read by a table function of DuckDB."""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator
from pathlib import Path

from customer_loyalty.inputs.faults import fault
from customer_loyalty.inputs.header import check_columns, is_header

LINE_LIMIT = 16 * 1024 * 1024
# The first bytes of files that are not CSV, whatever their name.
SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"PK\3\4": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook (.xls)",
    b"\x1f\x8b": "a gzip archive",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


def csv_source(path: Path, location: str, name: str) -> tuple[str, dict[str, str]]:
    """A table function that reads a CSV file, and its names for the file's columns."""
    header = _read_header(path, name)
    check_columns(path, name, header)
    # Columns that are not in the contract may have any name, even the same one.
    called = [f"column_{number}" for number in range(len(header))]
    types = ", ".join(f"{column}: 'varchar'" for column in called)
    # No text is read as NULL: DuckDB accepts an extra field in a row if it is NULL.
    source = f"""
        read_csv(
            {location}, auto_detect = false, header = true, columns = {{{types}}},
            delim = ',', quote = '"', escape = '"', nullstr = []::varchar[], strict_mode = true,
            encoding = 'utf-8', hive_partitioning = false,
            max_line_size = {LINE_LIMIT}
        )
    """
    return source, dict(zip(header, called, strict=True))


def count_lines(path: Path) -> int:
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
