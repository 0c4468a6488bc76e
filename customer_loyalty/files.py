"""Land a folder of CSV or Parquet files as tables of text, each row with its file and row number.

Nothing is guessed: a CSV file is UTF-8, with commas, double quotes and a header. What is not so is
refused, all faults of an input at once, each with its rule, what was found and what to do.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from customer_loyalty.contract import INPUTS, REQUIRED
from customer_loyalty.errors import Refusal

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

LANDING_RULES: dict[str, tuple[str, str]] = {
    "folder_is_there": (
        "The folder that raw_data names is there.",
        "Name the folder of your files.",
    ),
    "file_can_be_read": (
        "Whoever runs the build may read every file and folder.",
        "Give the right to read it, or look whether its disk is in order.",
    ),
    "file_name_is_utf_8": (
        "Files and folders have names in UTF-8.",
        "Rename it.",
    ),
    "required_input_is_there": (
        "raw_customers and raw_orders are there.",
        "Put it into the folder.",
    ),
    "input_name_is_exact": (
        "No file is called nearly like an input.",
        "Rename it, or move it away if it is something else.",
    ),
    "input_is_there_once": (
        "Each input is one file or one folder of files.",
        "Keep one of them.",
    ),
    "file_is_csv_or_parquet": (
        "An input is made of .csv or .parquet files.",
        "Save spreadsheets as CSV in UTF-8, decompress archives, move anything else away.",
    ),
    "folder_has_no_folder": (
        "The folder of an input holds files, no other folders.",
        "Move the files up into the folder of the input.",
    ),
    "folder_not_empty": (
        "The folder of an input holds at least one file.",
        "Fill it, or remove it.",
    ),
    "folder_has_one_kind": (
        "The files of an input are all CSV or all Parquet.",
        "Keep one kind.",
    ),
    "file_is_a_file": (
        "A file is a file on disk, no pipe, device or broken link.",
        "Put the file itself there.",
    ),
    "file_is_what_its_ending_says": (
        "What is in a file is what its ending says.",
        "Save it as CSV or as Parquet, with the ending that belongs to it.",
    ),
    "file_not_empty": (
        "A file has at least a header.",
        "Export it again.",
    ),
    "file_is_utf_8": (
        "Text is encoded in UTF-8.",
        "Save it as UTF-8 text.",
    ),
    "file_has_no_nul": (
        "Text has no NUL characters, which are a sign of a damaged file.",
        "Export it again.",
    ),
    "header_is_first_line": (
        "The first line of a CSV file holds the names of the columns.",
        "Put the names of the columns into the first line.",
    ),
    "columns_are_separated_by_commas": (
        "The columns of a CSV file are separated by commas.",
        "Save the file with commas, and values that have a comma in double quotes.",
    ),
    "header_has_all_columns": (
        "Every column of the input is there, under its exact name.",
        "Add what is missing, empty if you have no values.",
    ),
    "column_not_twice": (
        "No column of the input is there twice.",
        "Remove one, or rename it.",
    ),
    "quote_is_closed": (
        "A double quote that opens a value is closed at its end.",
        'Close it; a double quote within a quoted value is written twice, as in "say ""no""".',
    ),
    "row_has_as_many_fields_as_header": (
        "Every row has as many fields as the header.",
        "Put values that have a comma or a line break into double quotes; export a file anew that"
        " was cut off.",
    ),
    "lines_end_alike": (
        "All lines of a file end alike, in LF or in CRLF.",
        "Save the file with one kind of line end.",
    ),
    "line_not_too_long": (
        "A row is no longer than 16 MB.",
        "Look whether a double quote is not closed before it; else shorten the row.",
    ),
    "parquet_is_whole": (
        "A Parquet file is whole and undamaged.",
        "Export or copy it again.",
    ),
    "parquet_value_is_plain": (
        "A column of a Parquet file holds one plain value a row.",
        "Write it as text, number, date or timestamp.",
    ),
}
"""What a file or folder is refused for: the rule in a sentence (says), and what to do (remedy)."""

SUFFIXES = (".csv", ".parquet")
LINE_LIMIT = 16 * 1024 * 1024
# What begins otherwise than as CSV, whatever its name says.
SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"PK\3\4": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an Excel workbook of old",
    b"\x1f\x8b": "compressed",
}
SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}
NESTED = {"array", "blob", "list", "map", "struct", "union", "variant"}


class FileFault(Refusal):
    """An input that can't be read as the contract wants it.

    broken: each broken rule, and what was found. rule: the first one's id.
    """

    def __init__(self, *broken: tuple[str, str]):
        self.broken = broken
        self.rule = broken[0][0]
        told = "\n  ".join(f"{found} {LANDING_RULES[rule][1]} [{rule}]" for rule, found in broken)
        # A name of a file that is no UTF-8 could not be printed.
        super().__init__(told.encode(errors="backslashreplace").decode())


def land(con: DuckDBPyConnection, folder: str | None, name: str) -> DuckDBPyRelation:
    """The rows of input ``name`` in ``folder``: the contract's columns as text, and their origin.

    Columns: those of ``INPUTS[name]``, ``_source_file`` (relative to the folder) and
    ``_source_row`` (as a spreadsheet counts: a CSV header is row 1; the first row of a Parquet file
    is 1). An optional input that is missing has no rows. Raises FileFault with all its faults.
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
        except FileFault as fault:
            broken += fault.broken
    if broken:
        raise FileFault(*broken)
    return con.query(f"select * from {table}")


def land_all(con: DuckDBPyConnection, folder: str | None) -> dict[str, DuckDBPyRelation]:
    """Every input in ``folder``, by its name: see ``land``. Raises FileFault with all faults."""
    landed: dict[str, DuckDBPyRelation] = {}
    broken: dict[tuple[str, str], None] = {}
    for name in INPUTS:
        try:
            landed[name] = land(con, folder, name)
        except FileFault as fault:
            # A folder that is not there is a fault of each input, but told once.
            broken |= dict.fromkeys(fault.broken)
    if broken:
        raise FileFault(*broken)
    return landed


def find_files(folder: str | None, name: str) -> list[Path]:
    """The files of input ``name``, sorted; none where an optional input is missing.

    Raises FileFault where the folder, a required input or a folder's content is not as expected.
    """
    root = _expand(folder or "")
    with _refusing(root):
        if not folder or not root.is_dir():
            found = "is a file" if root.is_file() else "is not there"
            raise _fault("folder_is_there", root.absolute(), f"the folder of raw_data {found}.")
        entries = sorted(path for path in root.iterdir() if not path.name.startswith("."))
        mine = [
            path
            for path in entries
            if (path.name == name and path.is_dir())
            or (path.stem == name and path.suffix.lower() in SUFFIXES)
        ]
        if len(mine) > 1:
            raise _fault("input_is_there_once", root, f"{_names(mine)} are all called {name}.")
        if not mine:
            _check_missing(root, name, entries)
            return []
        return _files_in(mine[0]) if mine[0].is_dir() else mine


def _check_missing(root: Path, name: str, entries: Sequence[Path]) -> None:
    """Raises FileFault where an input that is not there is required, or there as something else."""
    other = [path for path in entries if path.name.partition(".")[0] == name]
    if other:
        found = f"{_names(other)} is neither a .csv nor a .parquet file."
        raise _fault("file_is_csv_or_parquet", root, found)
    # A name that is nearly right is more likely this input than another file.
    alike = [
        path
        for path in entries
        if (stem := path.name.partition(".")[0]) not in INPUTS
        and get_close_matches(stem.lower(), [name], cutoff=0.85)
    ]
    if alike:
        raise _fault("input_name_is_exact", root, f"{_names(alike)} is not called {name}.")
    if name in REQUIRED:
        missing = f"there is no {name}.csv, {name}.parquet or folder {name}."
        found = f"{missing} Found: {_names(entries) or 'nothing'}."
        raise _fault("required_input_is_there", root, found)


def _files_in(folder: Path) -> list[Path]:
    entries = sorted(
        path
        for path in folder.iterdir()
        # Writers leave marks such as _SUCCESS beside their files.
        if not path.name.startswith(".")
        and (path.suffix.lower() in SUFFIXES or not path.name.startswith("_"))
    )
    folders = [path for path in entries if path.is_dir()]
    if folders:
        raise _fault("folder_has_no_folder", folder, f"{_names(folders)} is a folder.")
    strange = [path for path in entries if path.suffix.lower() not in SUFFIXES]
    if strange:
        found = f"{_names(strange)} is neither a .csv nor a .parquet file."
        raise _fault("file_is_csv_or_parquet", folder, found)
    if not entries:
        raise _fault("folder_not_empty", folder, "the folder is empty.")
    if len({path.suffix.lower() for path in entries}) > 1:
        raise _fault("folder_has_one_kind", folder, "CSV and Parquet files are mixed.")
    return entries


def _land_file(
    con: DuckDBPyConnection, table: str, path: Path, source_file: str, name: str
) -> None:
    """Insert the rows of one file. Raises FileFault where it is not as the contract wants it."""
    if not path.is_file():
        link = path.is_symlink() and not path.exists()
        found = "is a link to nowhere." if link else "is no file, but a pipe or a device."
        raise _fault("file_is_a_file", path, found)
    try:
        location = _literal(re.sub(r"[\[*?]", r"[\g<0>]", str(path)).encode().decode())
    except UnicodeEncodeError:
        raise _fault("file_name_is_utf_8", path, "the name is not UTF-8.") from None
    is_csv = path.suffix.lower() == ".csv"
    lines = _count_lines(path) if is_csv else 0
    source, columns = (_csv if is_csv else _parquet)(con, path, location, name)
    values = ", ".join(f"nullif(cast({columns[column]} as varchar), '')" for column in INPUTS[name])
    [(rows,)] = con.execute(
        f"insert into {table} select {values}, {_literal(source_file)},"
        # The first row after the header is row 2, as in a spreadsheet.
        f" row_number() over () + {int(is_csv)} from {source}"
    ).fetchall()
    if is_csv and rows + 1 != lines:
        _count_blank_lines(con, table, path, source_file)


def _count_blank_lines(con: DuckDBPyConnection, table: str, path: Path, source_file: str) -> None:
    """Number the rows of a CSV file anew, with blank lines counted, as a spreadsheet does."""
    numbers = (number for number, fields in enumerate(_records(path), 1) if fields)
    gaps: dict[int, int] = {}  # from which row on how many blank lines were passed over
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


def _parquet(
    con: DuckDBPyConnection, path: Path, location: str, name: str
) -> tuple[str, dict[str, str]]:
    """A table function that reads a Parquet file, and its columns as DuckDB calls them."""
    with path.open("rb") as file:
        start = file.read(4)
    if not start:
        raise _fault("file_not_empty", path, "the file is empty.")
    if start != b"PAR1":
        raise _fault("file_is_what_its_ending_says", path, "is no Parquet file.")
    schema = con.execute(f"select name, num_children from parquet_schema({location})").fetchall()
    found, nested = [], 0
    for column, children in schema[1:]:
        if nested:
            nested += (children or 0) - 1
        else:
            found.append(column)
            nested = children or 0
    _check_columns(path, name, found)
    source = f"read_parquet({location}, binary_as_string = true, hive_partitioning = false)"
    relation = con.query(f"select * from {source}")
    # DuckDB tells no case apart, and numbers names that are there twice.
    called = dict(zip(found, relation.columns, strict=True))
    types = dict(zip(found, relation.types, strict=True))
    strange = [column for column in INPUTS[name] if types[column].id in NESTED]
    if strange:
        raise _fault(
            "parquet_value_is_plain", path, f"column {', '.join(strange)} is a list or binary."
        )
    return source, {column: f'"{called[column]}"' for column in INPUTS[name]}


def _csv(
    con: DuckDBPyConnection, path: Path, location: str, name: str
) -> tuple[str, dict[str, str]]:
    """A table function that reads a CSV file, and its columns as that calls them."""
    header = _read_header(path, name)
    _check_columns(path, name, header)
    # Columns that the contract does not know may be called anything, even alike.
    called = [f"column_{number}" for number in range(len(header))]
    types = ", ".join(f"{column}: 'varchar'" for column in called)
    # No text is NULL: DuckDB lets a row have one more field where that is NULL.
    source = f"""
        read_csv(
            {location}, auto_detect = false, header = true, columns = {{{types}}},
            delim = ',', quote = '"', escape = '"', nullstr = []::varchar[], strict_mode = true,
            encoding = 'utf-8', hive_partitioning = false,
            max_line_size = {LINE_LIMIT}
        )
    """
    return source, dict(zip(header, called, strict=True))


def _count_lines(path: Path) -> int:
    """How many lines a CSV file has. Raises FileFault where it is no UTF-8 text."""
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
                    raise _fault("file_has_no_nul", path, f"line {line}: has a NUL character.")
                decoder.decode(chunk)
                lines, end = lines + chunk.count(b"\n"), chunk[-1:]
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            line = lines + error.object.count(b"\n", 0, error.start) + 1
            raise _fault("file_is_utf_8", path, f"line {line}: is not UTF-8.") from None
    return lines + (end != b"\n")


def _check_start(path: Path, start: bytes) -> None:
    if not start.removeprefix(codecs.BOM_UTF8).strip():
        raise _fault("file_not_empty", path, "the file is empty, without even a header.")
    for signature, kind in SIGNATURES.items():
        if start.startswith(signature):
            raise _fault("file_is_what_its_ending_says", path, f"is {kind}, no CSV file.")
    # Every other byte of a header in UTF-16 is NUL.
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or (
        start[:40].count(0) * 3 > len(start[:40])
    ):
        raise _fault("file_is_utf_8", path, "is UTF-16 or the like.")


def _records(path: Path, strict: bool = False) -> Iterator[list[str]]:
    """The records of a CSV file; a blank line has no fields."""
    csv.field_size_limit(LINE_LIMIT)
    with path.open(encoding="utf-8-sig", newline="") as file:
        lines = iter(lambda: file.readline(LINE_LIMIT), "")
        yield from csv.reader(lines, skipinitialspace=True, strict=strict)


def _read_header(path: Path, name: str) -> list[str]:
    """The column names of a CSV file. Raises FileFault where its first line holds none."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        line = file.readline(LINE_LIMIT)
    if len(line) == LINE_LIMIT:
        raise _fault("line_not_too_long", path, "row 1: is longer than 16 MB.")
    if not line.strip():
        raise _fault("header_is_first_line", path, "the first line is blank.")
    if line.lower().startswith("sep="):
        raise _fault("header_is_first_line", path, "the first line is sep=, which is for Excel.")
    for separator, called in SEPARATORS.items():
        if _is_header([cell.strip(' "\r\n') for cell in line.split(separator)], name):
            found = f"the columns are separated by {called}."
            raise _fault("columns_are_separated_by_commas", path, found)
    try:
        header = next(_records(path, strict=True))
    except csv.Error:
        found = "row 1: a double quote is not closed, or not where a value begins."
        raise _fault("quote_is_closed", path, found) from None
    return [" ".join(column.split()) for column in header]


def _check_columns(path: Path, name: str, found: Sequence[str]) -> None:
    if not _is_header(found, name):
        # Very likely a row of data: nothing of it may be told.
        raise _fault(
            "header_is_first_line",
            path,
            f"the first line is no header: it has none, or few, of the columns"
            f" {', '.join(INPUTS[name])}.",
        )
    missing = [column for column in INPUTS[name] if column not in found]
    if missing:
        alike = {column: _alike(column, found) for column in missing}
        known = {*INPUTS[name], *alike.values()}
        told = [
            column if column in known or re.fullmatch(r"[A-Za-z_][\w ]{0,60}", column) else "…"
            for column in found
        ]
        renames = [f"Rename {old} to {new}." for new, old in alike.items() if old]
        raise _fault(
            "header_has_all_columns",
            path,
            " ".join((f"column {', '.join(missing)} is missing. Found: {_first(told)}.", *renames)),
        )
    twice = [column for column in INPUTS[name] if list(found).count(column) > 1]
    if twice:
        raise _fault("column_not_twice", path, f"column {', '.join(twice)} is there twice.")


def _is_header(found: Sequence[str], name: str) -> bool:
    """Whether at least half of an input's columns are there, if only nearly so called."""
    known = [column for column in INPUTS[name] if column in found or _alike(column, found)]
    return 2 * len(known) >= len(INPUTS[name])


def _alike(column: str, found: Sequence[str]) -> str | None:
    """The one of ``found`` that is nearly called ``column``, as Customer ID and custmer_id are."""
    plain = {re.sub(r"[\W_]+", "", other).lower(): other for other in found if len(other) < 64}
    close = get_close_matches(column.replace("_", ""), plain, n=1, cutoff=0.85)
    return plain[close[0]] if close else None


def _expand(folder: str) -> Path:
    try:
        return Path(folder).expanduser()
    except RuntimeError:
        raise _fault("folder_is_there", folder, "there is no such user.") from None


@contextmanager
def _refusing(path: Path) -> Iterator[None]:
    """Turn what the system or DuckDB says of a file into a FileFault, if the file is at fault."""
    try:
        yield
    except OSError as error:
        found = f"can't be read: {error.strerror}."
        raise _fault("file_can_be_read", error.filename or path, found) from None
    except duckdb.Error as error:
        fault = _explained(path, str(error))
        if fault is None:
            raise
        raise fault from None


def _explained(path: Path, error: str) -> FileFault | None:
    """DuckDB's message without the line it quotes, which may hold personal data."""
    if re.search("out of memory|no space left|interrupt", error, re.IGNORECASE):
        return None
    if path.suffix.lower() == ".parquet":
        if "Invalid string encoding" in error:
            return _fault("file_is_utf_8", path, "has text that is not UTF-8.")
        return _fault("parquet_is_whole", path, "is cut off or damaged.")
    row = re.search(r"CSV Error on Line: (\d+)", error)
    place = f"row {row[1]}: " if row else ""
    fields = re.search(r"^Expected Number of Columns: (\d+) Found: (\d+)", error, re.MULTILINE)
    if fields:
        more = "more" if int(fields[2]) > int(fields[1]) else "fewer"
        found = f"{place}has {more} fields than the header, which has {fields[1]}."
        return _fault("row_has_as_many_fields_as_header", path, found)
    for pattern, rule, found in (
        ("^Value with unterminated quote", "quote_is_closed", "a double quote is not closed."),
        ("state machine reached an invalid", "lines_end_alike", "the lines do not all end alike."),
        ("^Maximum line size", "line_not_too_long", "is longer than 16 MB."),
    ):
        if re.search(pattern, error, re.MULTILINE):
            return _fault(rule, path, place + found)
    return None


def _fault(rule: str, where: Path | str, found: str) -> FileFault:
    return FileFault((rule, f"{where}: {found}"))


def _names(paths: Sequence[Path]) -> str:
    return _first([path.name for path in paths])


def _first(names: Sequence[str], most: int = 20) -> str:
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
