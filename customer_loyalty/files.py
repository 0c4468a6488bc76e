"""Land a folder of CSV or Parquet files as tables of text, each row with its file and row number.

Nothing is guessed: a CSV file is UTF-8, with commas, double quotes and a header. What is not so is
refused, all faults of an input at once.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from customer_loyalty.contract import INPUTS, REQUIRED
from customer_loyalty.errors import Refusal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

SUFFIXES = (".csv", ".parquet")


class FileFault(Refusal):
    """An input that can't be read as the contract wants it."""


def land(con: DuckDBPyConnection, folder: str | None, name: str) -> DuckDBPyRelation:
    """The rows of input ``name`` in ``folder``: the contract's columns as text, and their origin.

    Columns: those of ``INPUTS[name]``, ``_source_file`` (relative to the folder) and
    ``_source_row`` (as a spreadsheet counts: a CSV header is row 1; the first row of a Parquet file
    is 1). An optional input that is missing has no rows. Raises FileFault with all its faults.
    """
    table = f"landed_{name}"
    con.execute(f"create or replace temp table {table} as {_empty(name)}")
    faults: list[str] = []
    for path in find_files(folder, name):
        try:
            con.execute(f"insert into {table} {_read(con, _expand(folder or ''), path, name)}")
        except FileFault as fault:
            faults.append(str(fault))
        except duckdb.Error as error:
            faults.append(f"{path}: {_in_short(error)}")
    if faults:
        raise FileFault("\n  ".join(faults))
    return con.query(f"select * from {table}")


def find_files(folder: str | None, name: str) -> list[Path]:
    """The files of input ``name``, sorted; none where an optional input is missing.

    Raises FileFault where the folder, a required input or a folder's content is not as expected.
    """
    root = _expand(folder or "")
    if not folder or not root.is_dir():
        found = "is a file" if root.is_file() else "is not there"
        raise FileFault(f"{root.absolute()}: the folder of raw_data {found}. Name a folder.")
    entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
    mine = [
        path
        for path in entries
        if path.name == name or (path.stem == name and path.suffix.lower() in SUFFIXES)
    ]
    if len(mine) > 1:
        names = ", ".join(path.name for path in mine)
        raise FileFault(f"{root}: {names} are all called {name}. Keep one of them.")
    if not mine:
        # A name that is nearly right is more likely this input than another file.
        alike = [
            path.name
            for path in entries
            if path.name.partition(".")[0] not in INPUTS or path.name.startswith(f"{name}.")
            if get_close_matches(path.name.partition(".")[0].lower(), [name], cutoff=0.85)
        ]
        if name not in REQUIRED and not alike:
            return []
        found = ", ".join(path.name for path in entries) or "nothing"
        message = (
            f"{root}: there is no {name}.csv, {name}.parquet or folder {name}. Found: {found}."
        )
        if alike:
            message += f" Save {', '.join(alike)} as one of these, or move it away."
        raise FileFault(message)
    if mine[0].is_dir():
        return _files_in(mine[0])
    return mine


def _expand(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise FileFault(f"{folder}: there is no such user. Name a folder.") from None


def _files_in(folder: Path) -> list[Path]:
    entries = sorted(
        path
        for path in folder.iterdir()
        # Writers leave marks such as _SUCCESS beside their files.
        if not path.name.startswith(".")
        and (path.suffix.lower() in SUFFIXES or not path.name.startswith("_"))
    )
    strange = [path.name for path in entries if path.suffix.lower() not in SUFFIXES]
    if strange or any(path.is_dir() for path in entries):
        names = ", ".join(strange or [path.name for path in entries if path.is_dir()])
        raise FileFault(f"{folder}: {names} is neither a .csv nor a .parquet file. Move it away.")
    if not entries:
        raise FileFault(f"{folder}: the folder is empty. Fill it, or remove it.")
    if len({path.suffix.lower() for path in entries}) > 1:
        raise FileFault(f"{folder}: CSV and Parquet files are mixed. Keep one kind.")
    return entries


def _empty(name: str) -> str:
    columns = ", ".join(f'cast(null as varchar) as "{column}"' for column in INPUTS[name])
    return (
        f"select {columns}, cast(null as varchar) as _source_file,"
        " cast(null as bigint) as _source_row where false"
    )


def _read(con: DuckDBPyConnection, root: Path, path: Path, name: str) -> str:
    """The select that reads one file; raises FileFault where its header is not the contract's."""
    columns = ", ".join(f'cast("{column}" as varchar)' for column in INPUTS[name])
    source_file = _literal(path.relative_to(root).as_posix())
    location = _literal(_no_glob(path))
    if path.suffix.lower() == ".parquet":
        source = f"read_parquet({location}, binary_as_string = true, file_row_number = true)"
        described = con.execute(f"describe select * from {source}").fetchall()
        _check_columns(path, name, [row[0] for row in described])
        return f"select {columns}, {source_file}, file_row_number + 1 from {source}"
    header = read_header(path)
    _check_columns(path, name, header)
    # Columns that the contract does not know may be called anything, even alike.
    names = [
        column if column in INPUTS[name] else f"extra column {number}"
        for number, column in enumerate(header)
    ]
    types = ", ".join(f"{_literal(column)}: 'varchar'" for column in names)
    # The first row after the header is row 2, as in a spreadsheet.
    return f"""
        select {columns}, {source_file}, row_number() over () + 1
        from read_csv(
            {location}, auto_detect = false, header = true, columns = {{{types}}},
            delim = ',', quote = '"', escape = '"', nullstr = '', strict_mode = true,
            encoding = 'utf-8', max_line_size = 16777216
        )
    """


def read_header(path: Path) -> list[str]:
    """The column names of a CSV file. Raises FileFault where it can't be read as UTF-8 text."""
    try:
        with path.open("rb") as file:
            start = file.read(4096)
    except OSError as error:
        raise FileFault(f"{path}: can't be read: {error.strerror}.") from None
    if not start.strip():
        raise FileFault(f"{path}: the file is empty, without even a header. Export it again.")
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in start:
        raise FileFault(f"{path}: is UTF-16 or binary. Save it as UTF-8 text.")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            header = next(csv.reader(file, strict=True), [])
    except UnicodeDecodeError:
        raise FileFault(f"{path}: is not UTF-8. Save it as UTF-8 text.") from None
    except csv.Error as error:
        raise FileFault(f"{path}: the header can't be read: {error}.") from None
    if not header:
        raise FileFault(f"{path}: the first line, where the header belongs, is empty.")
    return [column.strip() for column in header]


def _check_columns(path: Path, name: str, found: Sequence[str]) -> None:
    missing = [column for column in INPUTS[name] if column not in found]
    if len(missing) == len(INPUTS[name]) and len(found) > 1:
        # Very likely a row of data: nothing of it may be told.
        raise FileFault(
            f"{path}: the first line is no header: it has none of the columns"
            f" {', '.join(INPUTS[name])}. Put their names on top."
        )
    if missing:
        names = [
            column if re.fullmatch(r"[A-Za-z_][\w ]{0,60}", column) else "…" for column in found
        ]
        for separator, called in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if len(found) == 1 and separator in found[0]:
                raise FileFault(
                    f"{path}: the columns are separated by {called}. Save the file with commas."
                )
        raise FileFault(
            f"{path}: column {', '.join(missing)} is missing. Found: {', '.join(names)}. Names are"
            " matched exactly, and a column without values must be there too."
        )
    twice = [column for column in INPUTS[name] if list(found).count(column) > 1]
    if twice:
        raise FileFault(f"{path}: column {', '.join(twice)} is there twice. Remove one.")


def _in_short(error: duckdb.Error) -> str:
    """DuckDB's message without the line it quotes, which may hold personal data."""
    text = str(error)
    line = re.search(r"Line: (\d+)", text)
    reason = next(
        (
            reason
            for pattern, reason in (
                ("unterminated quote|quoted value|quote should be", "a double quote is not closed"),
                (
                    "Expected Number of Columns",
                    "the number of columns is not the header's; text with commas needs quotes",
                ),
                ("unicode|utf-8", "it is not UTF-8; save the file as UTF-8 text"),
                ("state machine reached an invalid state", "some lines end in CRLF and some in LF"),
                ("Maximum line size", "a line is longer than 16 MB"),
                ("magic bytes|parquet", "it is no readable Parquet file"),
            )
            if re.search(pattern, text, re.IGNORECASE)
        ),
        text.splitlines()[0],
    )
    return f"line {line[1]}: {reason}." if line else f"{reason}."


def _no_glob(path: Path) -> str:
    """A path that DuckDB takes as it is: brackets, stars and question marks are no pattern."""
    return re.sub(r"[\[*?]", r"[\g<0>]", str(path))


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
