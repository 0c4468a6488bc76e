"""The rules for files, and the faults that report them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from customer_loyalty.errors import FileFault

FILE_RULES: dict[str, tuple[str, str]] = {
    "folder_is_there": (
        "The folder in raw_data exists.",
        "Set raw_data to the folder of your files.",
    ),
    "file_can_be_read": (
        "The user who runs the build can read every file and folder.",
        "Grant the right to read it, or check its disk.",
    ),
    "file_name_is_utf_8": (
        "Names of files and folders are UTF-8.",
        "Rename it.",
    ),
    "required_input_is_there": (
        "raw_customers and raw_orders are in the folder.",
        "Put it into the folder.",
    ),
    "input_name_is_exact": (
        "No file has a name similar to an input's.",
        "Rename it, or move it away if it is something else.",
    ),
    "input_is_there_once": (
        "Each input is one file or one folder of files.",
        "Keep only one of them.",
    ),
    "file_is_csv_or_parquet": (
        "An input is one or more .csv or .parquet files.",
        "Save spreadsheets as CSV in UTF-8, decompress archives, and move anything else away.",
    ),
    "folder_has_no_folder": (
        "The folder of an input contains files, not folders.",
        "Move the files up into the folder of the input.",
    ),
    "folder_not_empty": (
        "The folder of an input contains at least one file.",
        "Add its files, or remove it.",
    ),
    "folder_has_one_kind": (
        "The files of an input are all CSV or all Parquet.",
        "Keep only one kind.",
    ),
    "file_is_a_file": (
        "A file is a file on disk, not a pipe, a device or a broken link.",
        "Put the file itself there.",
    ),
    "file_is_what_its_ending_says": (
        "The content of a file matches its extension.",
        "Save it as CSV or Parquet, with the matching extension.",
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
        "The first line of a CSV file has the column names.",
        "Put the column names into the first line.",
    ),
    "columns_are_separated_by_commas": (
        "The columns of a CSV file are separated by commas.",
        "Save the file with commas, and put values that contain a comma in double quotes.",
    ),
    "header_has_all_columns": (
        "The file has every column of the input, with its exact name.",
        "Add them, empty if you have no values.",
    ),
    "column_not_twice": (
        "No column of the input appears twice.",
        "Remove or rename one of them.",
    ),
    "quote_is_closed": (
        "A double quote that opens a value is closed at its end.",
        'Close it; a double quote within a quoted value is written twice, as in "say ""no""".',
    ),
    "row_has_as_many_fields_as_header": (
        "Every row has as many fields as the header.",
        "Put values that contain a comma or a line break in double quotes. If the file was cut off,"
        " export it again.",
    ),
    "lines_end_alike": (
        "All lines of a file end in LF, or all in CRLF.",
        "Save the file with one kind of line ending.",
    ),
    "line_not_too_long": (
        "A row is no longer than 16 MB.",
        "Check for an unclosed double quote before it, or shorten the row.",
    ),
    "parquet_is_whole": (
        "A Parquet file is complete and undamaged.",
        "Export or copy it again.",
    ),
    "parquet_value_is_plain": (
        "A column of a Parquet file has one plain value per row.",
        "Write it as text, number, date or timestamp.",
    ),
}
"""The rules for files and folders: what each requires (says), and what to do (remedy)."""


def fault(rule: str, where: Path | str, found: str) -> FileFault:
    """A broken rule of FILE_RULES: where it is broken, what was found, and what to do."""
    return FileFault((rule, f"{where}: {found} {FILE_RULES[rule][1]} [{rule}]"))


def path_names(paths: Sequence[Path]) -> str:
    """The names of files for a message, twenty at most."""
    return first_names([path.name for path in paths])


def first_names(names: Sequence[str], most: int = 20) -> str:
    """Names for a message, ``most`` at most."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def literal(text: str) -> str:
    """A text as an SQL literal of DuckDB."""
    return "'" + text.replace("'", "''") + "'"
