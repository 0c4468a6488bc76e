"""Read a folder of CSV or Parquet files as text, each row with its file and row number.

Nothing is guessed: a file that breaks a rule of ``faults.FILE_RULES`` is refused. All faults of an
input are reported at once.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from customer_loyalty.contract import INPUTS, REQUIRED
from customer_loyalty.errors import FileFault
from customer_loyalty.inputs.csv import count_lines, csv_source, records
from customer_loyalty.inputs.faults import fault, literal, path_names
from customer_loyalty.inputs.names import nearest
from customer_loyalty.inputs.parquet import parquet_source

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

SUFFIXES = (".csv", ".parquet")


def land(con: DuckDBPyConnection, folder: str | None, name: str) -> DuckDBPyRelation:
    """Read input ``name`` from ``folder``: the contract's columns as text, and each row's origin.

    Columns: those of ``INPUTS[name]``, ``_source_file`` (relative to the folder) and
    ``_source_row`` (as a spreadsheet counts: a CSV header is row 1; the first row of a Parquet file
    is 1). An optional input that is missing has no rows. Raises FileFault with all faults.
    """
    table = f"landed_{name}"
    columns = ", ".join(f'"{column}" varchar' for column in INPUTS[name])
    con.execute(
        f"create or replace temp table {table} ({columns}, _source_file varchar,"
        " _source_row bigint)"
    )
    broken: list[tuple[str, str]] = []
    for path in find_files(folder, name):
        try:
            with _refusing(path):
                source_file = path.relative_to(_expand(folder or "")).as_posix()
                _land_file(con, table, path, source_file, name)
        except FileFault as error:
            broken += error.broken
    if broken:
        raise FileFault(*broken)
    return con.query(f"select * from {table}")


def land_all(con: DuckDBPyConnection, folder: str | None) -> dict[str, DuckDBPyRelation]:
    """Read every input in ``folder``, by name: see ``land``. Raises FileFault with all faults."""
    landed: dict[str, DuckDBPyRelation] = {}
    broken: dict[tuple[str, str], None] = {}
    for name in INPUTS:
        try:
            landed[name] = land(con, folder, name)
        except FileFault as error:
            # A missing folder is a fault of each input, but reported once.
            broken |= dict.fromkeys(error.broken)
    if broken:
        raise FileFault(*broken)
    return landed


def find_files(folder: str | None, name: str) -> list[Path]:
    """The files of input ``name``, sorted; none if an optional input is missing.

    Raises FileFault if the folder, a required input or the content of a folder is not as required.
    """
    root = _expand(folder or "")
    with _refusing(root):
        if not folder or not root.is_dir():
            found = "is a file" if root.is_file() else "does not exist"
            raise fault("folder_is_there", root.absolute(), f"the folder of raw_data {found}.")
        entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        mine = [
            path
            for path in entries
            if (path.name == name and path.is_dir())
            or (path.stem == name and path.suffix.lower() in SUFFIXES)
        ]
        if len(mine) > 1:
            raise fault("input_is_there_once", root, f"{path_names(mine)} are all named {name}.")
        if not mine:
            _check_missing(root, name, entries)
            return []
        return _files_in(mine[0]) if mine[0].is_dir() else mine


def _check_missing(root: Path, name: str, entries: Sequence[Path]) -> None:
    """Raise FileFault if a missing input is required, or may have another name or type."""
    other = [path for path in entries if path.name.partition(".")[0] == name]
    if other:
        found = f"{path_names(other)} is neither a .csv nor a .parquet file."
        raise fault("file_is_csv_or_parquet", root, found)
    # A similar name is more likely a misspelt input than another file.
    alike = [
        path
        for path in entries
        if (stem := path.name.partition(".")[0]) not in INPUTS and nearest(name, [stem])
    ]
    if alike:
        raise fault("input_name_is_exact", root, f"{path_names(alike)} is not named {name}.")
    if name in REQUIRED:
        missing = f"there is no {name}.csv, {name}.parquet or folder {name}."
        found = f"{missing} Found: {path_names(entries) or 'nothing'}."
        raise fault("required_input_is_there", root, found)


def _files_in(folder: Path) -> list[Path]:
    entries = sorted(
        path
        for path in folder.iterdir()
        # Some writers leave files such as _SUCCESS next to their output.
        if not path.name.startswith(".")
        and (path.suffix.lower() in SUFFIXES or not path.name.startswith("_"))
    )
    folders = [path for path in entries if path.is_dir()]
    if folders:
        raise fault("folder_has_no_folder", folder, f"{path_names(folders)} is a folder.")
    strange = [path for path in entries if path.suffix.lower() not in SUFFIXES]
    if strange:
        found = f"{path_names(strange)} is neither a .csv nor a .parquet file."
        raise fault("file_is_csv_or_parquet", folder, found)
    if not entries:
        raise fault("folder_not_empty", folder, "the folder is empty.")
    if len({path.suffix.lower() for path in entries}) > 1:
        raise fault("folder_has_one_kind", folder, "CSV and Parquet files are mixed.")
    return entries


def _land_file(
    con: DuckDBPyConnection, table: str, path: Path, source_file: str, name: str
) -> None:
    """Insert the rows of one file. Raises FileFault if it is not as the contract requires."""
    if not path.is_file():
        link = path.is_symlink() and not path.exists()
        found = "is a broken link." if link else "is a pipe or a device, not a file."
        raise fault("file_is_a_file", path, found)
    try:
        location = literal(re.sub(r"[\[*?]", r"[\g<0>]", str(path)).encode().decode())
    except UnicodeEncodeError:
        raise fault("file_name_is_utf_8", path, "the name is not UTF-8.") from None
    is_csv = path.suffix.lower() == ".csv"
    lines = count_lines(path) if is_csv else 0
    source, columns = (
        csv_source(path, location, name) if is_csv else parquet_source(con, path, location, name)
    )
    values = ", ".join(f"nullif(cast({columns[column]} as varchar), '')" for column in INPUTS[name])
    [(rows,)] = con.execute(
        f"insert into {table} select {values}, {literal(source_file)},"
        # The first row after the header is row 2, as in a spreadsheet.
        f" row_number() over () + {int(is_csv)} from {source}"
    ).fetchall()
    if is_csv and rows + 1 != lines:
        _count_blank_lines(con, table, path, source_file)


def _count_blank_lines(con: DuckDBPyConnection, table: str, path: Path, source_file: str) -> None:
    """Renumber the rows of a CSV file so that blank lines count, as in a spreadsheet."""
    numbers = (number for number, fields in enumerate(records(path), 1) if fields)
    gaps: dict[int, int] = {}  # blank lines so far, by the first row after them
    for row, number in enumerate(numbers, 1):
        gaps.setdefault(number - row, row)
    if len(gaps) > 1:
        con.execute(
            f"""
            update {table} as landed set _source_row = landed._source_row + blank_lines
            from (
                select numbered.rowid as id, blank_lines
                from {table} as numbered
                asof join (
                    select unnest($blank_lines) as blank_lines, unnest($from_row) as from_row
                ) on numbered._source_row >= from_row
                where _source_file = $source_file
            ) where landed.rowid = id
            """,
            {
                "blank_lines": list(gaps),
                "from_row": list(gaps.values()),
                "source_file": source_file,
            },
        )


def _expand(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise fault("folder_is_there", folder, "the user after ~ does not exist.") from None


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn errors of the system or of DuckDB into FileFault, if they are about the file."""
    try:
        yield
    except OSError as error:
        found = f"can't be read: {error.strerror}."
        raise fault("file_can_be_read", error.filename or path, found) from None
    except duckdb.Error as error:
        explained = _explained(path, str(error))
        if explained is None:
            raise
        raise explained from None


def _explained(path: Path, error: str) -> FileFault | None:
    """A fault for DuckDB's message, without the line it quotes, which may hold personal data."""
    if re.search("out of memory|no space left|interrupt", error, re.IGNORECASE):
        return None
    if path.suffix.lower() == ".parquet":
        if "Invalid string encoding" in error:
            return fault("file_is_utf_8", path, "has text that is not UTF-8.")
        return fault("parquet_is_whole", path, "is cut off or damaged.")
    row = re.search(r"CSV Error on Line: (\d+)", error)
    place = f"row {row[1]}: " if row else ""
    fields = re.search(r"^Expected Number of Columns: (\d+) Found: (\d+)", error, re.MULTILINE)
    if fields:
        more = "more" if int(fields[2]) > int(fields[1]) else "fewer"
        found = f"{place}has {more} fields than the header, which has {fields[1]}."
        return fault("row_has_as_many_fields_as_header", path, found)
    for pattern, rule, found in (
        ("^Value with unterminated quote", "quote_is_closed", "a double quote is not closed."),
        (
            "state machine reached an invalid",
            "lines_end_alike",
            "the lines do not all end the same way.",
        ),
        ("^Maximum line size", "line_not_too_long", "longer than 16 MB."),
    ):
        if re.search(pattern, error, re.MULTILINE):
            return fault(rule, path, place + found)
    return None


def folder_key(raw_data: str | None) -> str | None:
    """A hash by which a later build recognizes the same folder; its path may be personal."""
    if raw_data is None:
        return None
    return hashlib.sha256(os.path.realpath(Path(raw_data).expanduser()).encode()).hexdigest()
