"""The rules for files, and the faults that name them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from customer_loyalty.errors import FileFault

FILE_RULES: dict[str, tuple[str, str]] = {
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


def fault(rule: str, where: Path | str, found: str) -> FileFault:
    """A broken rule of FILE_RULES: where, what was found, and what to do about it."""
    return FileFault((rule, f"{where}: {found} {FILE_RULES[rule][1]} [{rule}]"))


def path_names(paths: Sequence[Path]) -> str:
    """The names of files in a message, twenty at most."""
    return first_names([path.name for path in paths])


def first_names(names: Sequence[str], most: int = 20) -> str:
    """Names in a message, as many as it has room for."""
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")


def literal(text: str) -> str:
    """A text as DuckDB's SQL."""
    return "'" + text.replace("'", "''") + "'"
