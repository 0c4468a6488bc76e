"""Read a folder of CSV or Parquet files, each row with its file and row number.

Nothing is guessed: a file that breaks a rule of ``faults.FILE_RULES`` is refused. All faults of an
input are reported at once.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb

from customer_loyalty.contract import INPUTS, REQUIRED
from customer_loyalty.errors import FileFault
from customer_loyalty.inputs.csv import csv_source
from customer_loyalty.inputs.faults import fault, literal, path_names
from customer_loyalty.inputs.names import nearest
from customer_loyalty.inputs.parquet import parquet_source
from customer_loyalty.inputs.source import SOURCE_FILE, SOURCE_ROW, Column, Source, as_text

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection, DuckDBPyRelation

SUFFIXES = (".csv", ".parquet")


def files_query(con: DuckDBPyConnection, folder: str | None, name: str) -> str:
    """The query of the rows of input ``name`` in ``folder``, in the types that the files have.

    Columns: those of ``INPUTS[name]``, ``_source_file`` (relative to the folder) and
    ``_source_row`` (as a spreadsheet counts: a CSV header is row 1; the first row of a Parquet file
    is 1). An optional input that is missing has no rows. The files are read once here, to check
    them, and the query reads them again. Raises FileFault with all faults.
    """
    sources: list[Source] = []
    broken: list[tuple[str, str]] = []
    for path in find_files(folder, name):
        try:
            # On a connection of its own: an error would end the transaction of the build.
            with _refusing(path), con.cursor() as reader:
                source_file = path.relative_to(_expand(folder or "")).as_posix()
                sources.append(_source(reader, path, source_file, name))
        except FileFault as error:
            broken += error.broken
    if broken:
        raise FileFault(*broken)
    if not sources:
        return no_rows_query(name)
    # In files of different types, a value of the one may be lost in the type of the other.
    mixed = {
        column
        for column in INPUTS[name]
        if len({source.columns[column].type for source in sources}) > 1
    }
    return " union all ".join(_select(source, mixed) for source in sources)


def no_rows_query(name: str) -> str:
    """The query of no rows, with the columns of ``files_query``."""
    nulls = ", ".join(f"null::varchar as {column}" for column in (*INPUTS[name], SOURCE_FILE))
    return f"select {nulls}, null::bigint as {SOURCE_ROW} where false"


def land(con: DuckDBPyConnection, folder: str | None, name: str) -> DuckDBPyRelation:
    """The rows of ``files_query``, with all values as text. Raises FileFault with all faults."""
    query = files_query(con, folder, name)
    described = con.execute(f"describe {query}").fetchall()
    types = {column: Column(column, type_) for column, type_, *_ in described}
    values = ", ".join(
        f"nullif({as_text(types[column])}, '') as {column}" for column in INPUTS[name]
    )
    return con.query(f"select {values}, {SOURCE_FILE}, {SOURCE_ROW} from ({query})")


def land_all(con: DuckDBPyConnection, folder: str | None) -> dict[str, DuckDBPyRelation]:
    """Every input in ``folder``, by name: see ``land``. Raises FileFault with all faults."""
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


def _source(con: DuckDBPyConnection, path: Path, source_file: str, name: str) -> Source:
    """A file, checked as a whole. Raises FileFault if it is not as the contract requires."""
    if not path.is_file():
        link = path.is_symlink() and not path.exists()
        found = "is a broken link." if link else "is a pipe or a device, not a file."
        raise fault("file_is_a_file", path, found)
    try:
        location = literal(re.sub(r"[\[*?]", r"[\g<0>]", str(path)).encode().decode())
    except UnicodeEncodeError:
        raise fault("file_name_is_utf_8", path, "the name is not UTF-8.") from None
    read = csv_source if path.suffix.lower() == ".csv" else parquet_source
    return read(con, path, location, source_file, name)


def _select(source: Source, text: Set[str]) -> str:
    """The query of a file's rows. text: the columns to read as text."""
    values = (
        f"{as_text(one) if column in text else one.expression} as {column}"
        for column, one in source.columns.items()
    )
    return (
        f"select {', '.join(values)}, {literal(source.file)} as {SOURCE_FILE},"
        f" {source.row} as {SOURCE_ROW} from {source.table}"
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
    if path.suffix.lower() != ".parquet":
        return None
    if "Invalid string encoding" in error:
        return fault("file_is_utf_8", path, "has text that is not UTF-8.")
    return fault("parquet_is_whole", path, "is cut off or damaged.")


def folder_key(raw_data: str | None) -> str | None:
    """A hash by which a later build recognizes the same folder; its path may be personal."""
    if raw_data is None:
        return None
    return hashlib.sha256(os.path.realpath(Path(raw_data).expanduser()).encode()).hexdigest()
