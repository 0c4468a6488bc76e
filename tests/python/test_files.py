"""A folder of files: what is read, what is refused, by which rule and with which words."""

from __future__ import annotations

import codecs
import csv
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import duckdb
import pytest

from customer_loyalty.contract import INPUTS
from customer_loyalty.errors import FileFault
from customer_loyalty.inputs.faults import FILE_RULES
from customer_loyalty.inputs.files import land
from test_gate import clean
from warehouse import PROJECT, write_csv

NAME = "raw_exchange_rates"
HEADER = ",".join(INPUTS[NAME]) + "\n"
# An example of personal data, which must not be in any message.
PERSONAL = "Virtanen"
ROW = f"{PERSONAL},2025-01-01,0.9\n"
READ_ROW = (PERSONAL, "2025-01-01", "0.9")
RATES = HEADER + ROW
# More than DuckDB looks at in one go, or Python decodes.
MANY = ROW * 100_000


def land_rates(folder: Path, threads: int = 2) -> list[tuple]:
    with duckdb.connect(":memory:", config={"threads": threads}) as con:
        return land(con, str(folder), NAME).fetchall()


# --- files and folders to read ---------------------------------------------------------------

Make = Callable[[Path], None]


def files(**contents: str | bytes | Callable[[], str]) -> Make:
    """Files by their names below the folder; a name that ends in / is an empty folder."""

    def make(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("/"):
                path.mkdir()
                continue
            data = content() if callable(content) else content
            path.write_bytes(data.encode() if isinstance(data, str) else data)

    return make


def content(data: str | bytes | Callable[[], str], name: str = f"{NAME}.csv") -> Make:
    return files(**{name: data})


def parquet(
    currency_code: str = "'a'",
    other: str = "",
    damage: Callable[[bytes], bytes] = lambda data: data,
) -> Make:
    """A Parquet file of one row, whose currency_code is a SQL expression."""

    def make(folder: Path) -> None:
        path = folder / f"{NAME}.parquet"
        location = str(path).replace("'", "''")
        with duckdb.connect(":memory:") as con:
            con.execute("set TimeZone = 'UTC'")
            con.execute(
                f"copy (select {other} {currency_code} as currency_code, date '2025-01-01' as"
                f" rate_date, '{PERSONAL}' as rate_to_reporting) to '{location}'"
            )
        path.write_bytes(damage(path.read_bytes()))

    return make


def link(target: str) -> Make:
    return lambda folder: (folder / f"{NAME}.csv").symlink_to(target)


def a_pipe(folder: Path) -> None:
    os.mkfifo(folder / f"{NAME}.csv")


def a_name_in_latin_1(folder: Path) -> None:
    (folder / NAME).mkdir()
    Path(os.fsdecode(os.fsencode(folder / NAME) + b"/\xe9.csv")).write_text(RATES)


def nothing(folder: Path) -> None:
    pass


# --- what is read ----------------------------------------------------------------------------

# Content, and its rows as they must arrive: the values as they stand there, and the row number.
READ: dict[str, tuple[str | bytes, list[tuple]]] = {
    "plain": (RATES, [(*READ_ROW, 2)]),
    "no newline at the end": (RATES.strip(), [(*READ_ROW, 2)]),
    "header only": (HEADER, []),
    "header only, no newline": (HEADER.strip(), []),
    "CRLF line endings": ((RATES + ROW).replace("\n", "\r\n"), [(*READ_ROW, 2), (*READ_ROW, 3)]),
    "CR line endings": ((RATES + ROW).replace("\n", "\r"), [(*READ_ROW, 2), (*READ_ROW, 3)]),
    "BOM": (codecs.BOM_UTF8 + RATES.encode(), [(*READ_ROW, 2)]),
    "BOM, header only": (codecs.BOM_UTF8 + HEADER.encode(), []),
    "BOM and quoted header": (
        codecs.BOM_UTF8 + b'"currency_code","rate_date","rate_to_reporting"\na,b,c\n',
        [("a", "b", "c", 2)],
    ),
    "spaces around column names": (
        " currency_code , rate_date,rate_to_reporting \na,b,c\n",
        [("a", "b", "c", 2)],
    ),
    "columns in any order, and additional ones, even with equal or empty names": (
        "x,rate_to_reporting,,currency_code,x,Rate_Date,rate_date\n1,2,3,4,5,6,7\n",
        [("4", "7", "2", 2)],
    ),
    "line break in the name of an additional column": (
        '"a\nb",currency_code,rate_date,rate_to_reporting\n1,2,3,4\n',
        [("2", "3", "4", 2)],
    ),
    "comma at the end of every line": (
        "currency_code,rate_date,rate_to_reporting,\na,b,c,\n",
        [("a", "b", "c", 2)],
    ),
    "quoted commas, quotes and line breaks": (
        HEADER + '007,"1,2\n\n3","say ""no"""\na,b,c\n',
        [("007", "1,2\n\n3", 'say "no"', 2), ("a", "b", "c", 3)],
    ),
    "quoted CRLF in an LF file": (
        HEADER + 'a,"b\r\n",c\n',
        [("a", "b\r\n", "c", 2)],
    ),
    "quoted LF in a CRLF file": (
        (HEADER + "a,?,c\nd,e,f\n").replace("\n", "\r\n").replace("?", '"b\n"'),
        [("a", "b\n", "c", 2), ("d", "e", "f", 3)],
    ),
    # Neither is standard CSV, but neither can be meant otherwise.
    "quotes within unquoted values": (
        HEADER + '5" pipe,6" and 7",8"\n',
        [('5" pipe', '6" and 7"', '8"', 2)],
    ),
    "spaces around quotes": (HEADER + 'a, "b,c" ,d\n', [("a", "b,c", "d", 2)]),
    "empty values, and the text nan": (HEADER + 'nan,"",\n', [("nan", None, None, 2)]),
    "a row of empty values": (HEADER + ",,\n" + ROW, [(None, None, None, 2), (*READ_ROW, 3)]),
    "words such as NULL and N/A, read as text": (
        HEADER + "NULL,null,NA\nNone,none,N/A\n#N/A,-,\\N\n",
        [("NULL", "null", "NA", 2), ("None", "none", "N/A", 3), ("#N/A", "-", "\\N", 4)],
    ),
    "invalid dates and numbers, left to the rules": (
        HEADER + 'a,31/12/2025,"12,50"\nb,2025-02-30,"1,234.50"\nc,1735689600000,1e40\n'
        "d,=1+1,0.12345678901234567890123\n",
        [
            ("a", "31/12/2025", "12,50", 2),
            ("b", "2025-02-30", "1,234.50", 3),
            ("c", "1735689600000", "1e40", 4),
            ("d", "=1+1", "0.12345678901234567890123", 5),
        ],
    ),
    "case and spaces of ids": (
        HEADER + "usd,USD, USD\nUSD ,\u00a0USD,00042\n",
        [("usd", "USD", " USD", 2), ("USD ", "\u00a0USD", "00042", 3)],
    ),
    "control characters": (
        HEADER + "a\x01,\x1b[31m,\x7f\t\n",
        [("a\x01", "\x1b[31m", "\x7f\t", 2)],
    ),
    "letters of any script": (HEADER + "ü,日本,ﬁ\n", [("ü", "日本", "ﬁ", 2)]),
    "emoji": (HEADER + "😀,👩‍👩‍👧,🇫🇮\n", [("😀", "👩‍👩‍👧", "🇫🇮", 2)]),
    "right-to-left text with marks": (
        HEADER + "שלום\u200f,\u202eabc\u202c,\u200e1\n",
        [("שלום\u200f", "\u202eabc\u202c", "\u200e1", 2)],
    ),
    "combining accents, unchanged": (
        HEADER + "e\u0301,é,a\u030a\n",
        [("e\u0301", "é", "a\u030a", 2)],
    ),
    "Unicode line separators within a value": (
        HEADER + "a\u2028b,c\u0085d,e\x0bf\x0c\n",
        [("a\u2028b", "c\u0085d", "e\x0bf\x0c", 2)],
    ),
    # A second header, of concatenated files, is a row for the gate to check.
    "a second header further down": (
        RATES + HEADER,
        [(*READ_ROW, 2), ("currency_code", "rate_date", "rate_to_reporting", 3)],
    ),
    # A file cut off within its last value looks like any other.
    "file cut off within the last value": (RATES.strip()[:-1], [(PERSONAL, "2025-01-01", "0.", 2)]),
    "blank lines at the end": (RATES + "\n\n", [(*READ_ROW, 2)]),
    "blank lines between rows": (
        HEADER + "\n" + ROW + "\n\n" + ROW + ROW,
        [(*READ_ROW, 3), (*READ_ROW, 6), (*READ_ROW, 7)],
    ),
    "blank lines, no newline at the end": (
        RATES + "\n" + ROW.strip(),
        [(*READ_ROW, 2), (*READ_ROW, 4)],
    ),
    "blank lines in a CRLF file": (
        (RATES + "\n" + ROW).replace("\n", "\r\n"),
        [(*READ_ROW, 2), (*READ_ROW, 4)],
    ),
    "blank lines in a CR file": (
        (RATES + "\n" + ROW).replace("\n", "\r"),
        [(*READ_ROW, 2), (*READ_ROW, 4)],
    ),
    "blank lines next to quoted ones": (
        HEADER + 'a,"1\n\n2",c\n\na,b,c\n',
        [("a", "1\n\n2", "c", 2), ("a", "b", "c", 4)],
    ),
    "a value of 1 MB and a blank line": (
        HEADER + f'\na,"{"b" * 1_000_000}",c\n',
        [("a", "b" * 1_000_000, "c", 3)],
    ),
    "a value of 3 MB": (HEADER + f'a,"{"b" * 3_000_000}",c\n', [("a", "b" * 3_000_000, "c", 2)]),
    "a row of 100,000 columns": (
        HEADER.strip() + ",x" * 100_000 + "\n" + "a,b,c" + ",1" * 100_000 + "\n",
        [("a", "b", "c", 2)],
    ),
}


@pytest.mark.parametrize("case", READ)
def test_csv_is_read_as_it_is(tmp_path, case):
    data, rows = READ[case]
    content(data)(tmp_path)
    found = [(*(value or None for value in row[:3]), row[4]) for row in land_rates(tmp_path)]
    assert sorted(found, key=lambda row: row[3]) == rows


PARQUET_READ = {
    "42": "42",
    "18446744073709551615::ubigint": "18446744073709551615",
    "29.33::double": "29.33",
    "0.1::float": "0.1",
    "1e40::double": "1e+40",
    "1e20::double": "100000000000000000000",
    "1e-7::double": "0.000000100000000000",
    "42.0::double": "42",
    "'-inf'::double": "-inf",
    "'nan'::double": None,
    "1.5::decimal(9, 2)": "1.50",
    "true": "true",
    "'007'": "007",
    "'007'::blob": "007",
    "'007'::enum('007', 'a')": "007",
    "'e' || chr(769)": "e\u0301",
    "''": None,
    "null": None,
    "date '2025-01-10'": "2025-01-10",
    "timestamp '2025-01-10 12:00:00'": "2025-01-10 12:00:00",
    "timestamp_ns '2025-01-10 12:00:00.123456789'": "2025-01-10 12:00:00.123456789",
    "timestamp_ms '2025-01-10 12:00:00.12'": "2025-01-10 12:00:00.12",
    "timestamptz '2025-01-10 12:00:00+02'": "2025-01-10 05:00:00-05",
}


@pytest.mark.parametrize("value", PARQUET_READ)
def test_parquet_becomes_text(tmp_path, value):
    parquet(value)(tmp_path)
    with duckdb.connect(":memory:") as con:
        con.execute("set TimeZone = 'America/New_York'")
        [row] = land(con, str(tmp_path), NAME).fetchall()
    assert row == (PARQUET_READ[value], "2025-01-01", PERSONAL, f"{NAME}.parquet", 1)


def rename(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Rename a column within a Parquet file, which DuckDB can't name so."""
    assert len(old) == len(new)
    return lambda data: data.replace(old, new)


@pytest.mark.parametrize(
    "make",
    [
        # DuckDB tells no case apart: it must be the exact one.
        parquet(other="'z' as xurrency_code,", damage=rename(b"xurrency_code", b"Currency_code")),
        parquet(other="'z' as xx, 'z' as yy,", damage=rename(b"yy", b"xx")),
        parquet(other="'z' as file_row_number, 'z' as filename,"),
        parquet(other="{'currency_code': 'z', 'rate_date': ['z']} as x,"),
        parquet(other="""'z' as "a""b'c","""),
    ],
)
def test_other_columns_of_parquet_may_be_called_anything(tmp_path, make):
    make(tmp_path)
    assert land_rates(tmp_path) == [("a", "2025-01-01", PERSONAL, f"{NAME}.parquet", 1)]


def test_a_parquet_file_without_rows_is_read(tmp_path):
    with duckdb.connect(":memory:") as con:
        columns = ", ".join(f"1 as {column}" for column in INPUTS[NAME])
        con.execute(f"copy (select {columns} where false) to '{tmp_path}/{NAME}.parquet'")
    assert land_rates(tmp_path) == []


@pytest.mark.parametrize(
    "name",
    [
        *("a b", "it's", 'say "x"', "{{ x }}", "{a,b}", "[1]", "st*r?", "a\nb", "a\\b", "ä 日本"),
        # DuckDB takes these for columns, unless told otherwise.
        *("currency_code=XXX", "column_0=XXX"),
    ],
)
@pytest.mark.parametrize("make", [content(RATES), parquet()])
def test_a_path_is_only_a_path(tmp_path, name, make):
    (tmp_path / name).mkdir()
    make(tmp_path / name)
    content("1", "unrelated.csv")(tmp_path / name)
    [row] = land_rates(tmp_path / name)
    assert row[0] in (PERSONAL, "a")


def test_an_optional_input_may_be_missing(tmp_path):
    assert land_rates(tmp_path) == []
    files(**{"raw_products.csv": RATES, "raw_orders.csv": RATES})(tmp_path)
    assert land_rates(tmp_path) == []


def test_a_folder_of_files_is_one_input(tmp_path):
    files(
        **{
            f"{NAME}/2.csv": HEADER + "\nb,2,3\n",
            f"{NAME}/1.CSV": "rate_date,currency_code,rate_to_reporting\n\n\n1,a,3\n",
            f"{NAME}/_SUCCESS": "",
            f"{NAME}/.hidden.csv": "",
        }
    )(tmp_path)
    assert land_rates(tmp_path) == [
        ("a", "1", "3", f"{NAME}/1.CSV", 4),
        ("b", "2", "3", f"{NAME}/2.csv", 3),
    ]


def test_a_folder_may_hold_hundreds_of_files(tmp_path):
    files(**{f"{NAME}/{number:03}.csv": RATES for number in range(300)})(tmp_path)
    rows = land_rates(tmp_path)
    assert [row[3:] for row in rows] == [(f"{NAME}/{number:03}.csv", 2) for number in range(300)]


@pytest.mark.parametrize("blank_lines", [0, 2])
def test_rows_keep_their_numbers_in_a_large_file(tmp_path, blank_lines):
    """Large enough for DuckDB to read it in parallel."""
    with (tmp_path / f"{NAME}.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(INPUTS[NAME])
        for row in range(2, 600_002):
            if row == 300_000:
                writer.writerows([[]] * blank_lines)
            writer.writerow((f"c{row + blank_lines * (row >= 300_000)}", "2025-01-01", "x" * 40))
    with duckdb.connect(":memory:", config={"threads": 4}) as con:
        relation = land(con, str(tmp_path), NAME)
        wrong = relation.filter("currency_code != 'c' || _source_row").count("*").fetchall()
        assert relation.count("*").fetchall() == [(600_000,)]
    assert wrong == [(0,)]


# --- what is refused -------------------------------------------------------------------------


class Refused(NamedTuple):
    """A file or folder, the rule that it breaks, and words of the message."""

    rule: str
    words: str
    make: Make
    name: str = NAME


REFUSED = {
    # The folder
    "missing folder": Refused("folder_is_there", "does not exist", shutil.rmtree),
    "a file instead of a folder": Refused(
        "folder_is_there", "is a file", lambda folder: (folder.rmdir(), folder.touch())
    ),
    "missing required input": Refused(
        "required_input_is_there",
        "no raw_orders.csv, raw_orders.parquet or folder raw_orders. Found: orders.csv.",
        content(RATES, "orders.csv"),
        "raw_orders",
    ),
    "an empty folder raw_data": Refused(
        "required_input_is_there", "Found: nothing", nothing, "raw_orders"
    ),
    "missing required input among many files": Refused(
        "required_input_is_there",
        "19.csv and 30 more.",
        files(**{f"{number:02}.csv": "" for number in range(50)}),
        "raw_orders",
    ),
    "misspelt name": Refused(
        "input_name_is_exact",
        f"raw_exchange_rate.csv is not named {NAME}",
        content(RATES, "raw_exchange_rate.csv"),
    ),
    "name in capitals": Refused(
        "input_name_is_exact", "RAW_ORDERS.CSV", content(RATES, "RAW_ORDERS.CSV"), "raw_orders"
    ),
    "CSV and Parquet with the same name": Refused(
        "input_is_there_once",
        f"{NAME}.csv, {NAME}.parquet are all named {NAME}",
        files(**{f"{NAME}.csv": RATES, f"{NAME}.parquet": RATES}),
    ),
    "Excel file": Refused(
        "file_is_csv_or_parquet", f"{NAME}.xlsx is neither", content(b"PK", f"{NAME}.xlsx")
    ),
    "compressed file": Refused(
        "file_is_csv_or_parquet", "decompress", content(b"\x1f\x8b", f"{NAME}.csv.gz")
    ),
    "no extension": Refused("file_is_csv_or_parquet", f"{NAME} is neither", content(RATES, NAME)),
    "another kind of file in the folder": Refused(
        "file_is_csv_or_parquet",
        "a.txt is neither",
        files(**{f"{NAME}/a.txt": "", f"{NAME}/b.csv": RATES}),
    ),
    "a subfolder": Refused(
        "folder_has_no_folder",
        "2025 is a folder",
        files(**{f"{NAME}/2025/a.csv": RATES, f"{NAME}/b.csv": RATES}),
    ),
    "empty folder": Refused("folder_not_empty", "the folder is empty", content("", f"{NAME}/")),
    "only _SUCCESS in the folder": Refused(
        "folder_not_empty", "is empty", content("", f"{NAME}/_SUCCESS")
    ),
    "CSV and Parquet in one folder": Refused(
        "folder_has_one_kind",
        "mixed",
        files(**{f"{NAME}/a.csv": RATES, f"{NAME}/b.parquet": RATES}),
    ),
    # What is no file
    "broken link": Refused("file_is_a_file", "is a broken link", link("nowhere")),
    "link to itself": Refused("file_is_a_file", f"{NAME}.csv", link(f"{NAME}.csv")),
    "pipe": Refused("file_is_a_file", "a pipe or a device", a_pipe),
    "device": Refused("file_is_a_file", "a pipe or a device", link("/dev/zero")),
    "name in Latin-1": Refused("file_name_is_utf_8", r"\udce9.csv: the name", a_name_in_latin_1),
    # Encoding
    "empty file": Refused("file_not_empty", "without even a header", content("")),
    "only spaces and blank lines": Refused("file_not_empty", "is empty", content(" \n\n")),
    "BOM only": Refused("file_not_empty", "is empty", content(codecs.BOM_UTF8)),
    "UTF-16": Refused("file_is_utf_8", "UTF-16", content(RATES.encode("utf-16"))),
    "UTF-16 LE without BOM": Refused("file_is_utf_8", "UTF-16", content(RATES.encode("utf-16-le"))),
    "UTF-16 BE without BOM": Refused("file_is_utf_8", "UTF-16", content(RATES.encode("utf-16-be"))),
    "Latin-1 in the header": Refused(
        "file_is_utf_8", "line 1:", content(b"\xe5," + RATES.encode())
    ),
    "Latin-1 further down": Refused(
        "file_is_utf_8", "line 100003:", content((RATES + MANY + "Å" + ROW).encode("latin-1"))
    ),
    "Latin-1 in an unused column": Refused(
        "file_is_utf_8",
        "line 100002:",
        content(("x," + HEADER + f"x,{ROW}" * 100_000 + f"Å,{ROW}").encode("latin-1")),
    ),
    "cut off within a character": Refused(
        "file_is_utf_8", "line 2:", content((HEADER + "a,b,Å").encode()[:-1])
    ),
    "NUL at the start": Refused("file_has_no_nul", "line 1:", content("\0" + RATES)),
    "NUL further down": Refused(
        "file_has_no_nul", "line 100003:", content(RATES + MANY + "\0" + ROW)
    ),
    "NUL in quotes": Refused(
        "file_has_no_nul", "line 100003:", content(RATES + MANY + '"a\0",b,c\n')
    ),
    "Parquet called .csv": Refused(
        "file_is_what_its_ending_says",
        "is a Parquet file",
        lambda folder: (
            parquet()(folder),
            (folder / f"{NAME}.parquet").rename(folder / f"{NAME}.csv"),
        ),
    ),
    "Excel called .csv": Refused(
        "file_is_what_its_ending_says", "Excel", content(b"PK\3\4 and more")
    ),
    "gzip called .csv": Refused(
        "file_is_what_its_ending_says", "gzip", content(b"\x1f\x8b and more")
    ),
    # The header
    "no header": Refused("header_is_first_line", "is not a header", content(ROW + ROW)),
    "data that contains a column name": Refused(
        "header_is_first_line",
        "is not a header",
        content(
            f"00042,2025-01-01,maria@example.com,{PERSONAL},FI,fi,email\n", "raw_customers.csv"
        ),
        "raw_customers",
    ),
    "a web page": Refused("header_is_first_line", "is not a header", content("<html>\n")),
    "blank first line": Refused("header_is_first_line", "is blank", content("\n" + RATES)),
    "sep=; from Excel": Refused(
        "header_is_first_line", "sep=", content("sep=;\n" + RATES.replace(",", ";"))
    ),
    "semicolons": Refused(
        "columns_are_separated_by_commas", "semicolons", content(RATES.replace(",", ";"))
    ),
    "quoted semicolons": Refused(
        "columns_are_separated_by_commas",
        "semicolons",
        content('"currency_code";"rate_date";"rate_to_reporting"\n'),
    ),
    "tabs": Refused("columns_are_separated_by_commas", "tabs", content(RATES.replace(",", "\t"))),
    "vertical bars": Refused(
        "columns_are_separated_by_commas", "bars", content(RATES.replace(",", "|"))
    ),
    "missing column": Refused(
        "header_has_all_columns",
        "missing columns: rate_to_reporting. Found: currency_code, rate_date, …. Add",
        content("currency_code,rate_date,maria@example.com\n"),
    ),
    "renamed column": Refused(
        "header_has_all_columns",
        "Rename Currency Code to currency_code. Rename rate-dat to rate_date.",
        content("Currency Code,rate-dat,rate_to_reporting\n"),
    ),
    "column names in capitals": Refused(
        "header_has_all_columns", "Rename RATE_DATE to rate_date.", content(HEADER.upper() + ROW)
    ),
    "renamed Parquet column": Refused(
        "header_has_all_columns",
        "Found: Currency_code, rate_date, rate_to_reporting. Rename Currency_code",
        parquet(damage=rename(b"currency_code", b"Currency_code")),
    ),
    "duplicate column": Refused(
        "column_not_twice", "column rate_date appears twice", content("rate_date," + RATES)
    ),
    "duplicate Parquet column": Refused(
        "column_not_twice",
        "column currency_code appears twice",
        parquet(other="'z' as xurrency_code,", damage=rename(b"xurrency_code", b"currency_code")),
    ),
    # Quotes, rows, lines
    "unclosed quote in the header": Refused("quote_is_closed", "row 1:", content('"' + RATES)),
    "unclosed quote in the header of a large file": Refused(
        "quote_is_closed", "row 1:", content('"' + RATES + MANY)
    ),
    "unclosed quote in the first row": Refused(
        "quote_is_closed", "row 2:", content(HEADER + '"' + ROW + MANY)
    ),
    "unclosed quote in the last row": Refused(
        "quote_is_closed", "row 4:", content(RATES + ROW + 'a,b,"c')
    ),
    "unclosed quote further down": Refused(
        "quote_is_closed", "row 100003:", content(RATES + MANY + 'a,"b,c\n' + MANY + 'a,"b,c\n')
    ),
    "text after a quote": Refused("quote_is_closed", "row 2:", content(HEADER + '"a"b,c,d\n')),
    "backslash before a quote": Refused(
        "quote_is_closed", "row 2:", content(HEADER + r'"a\"b",c,d' + "\n")
    ),
    "row too short": Refused(
        "row_has_as_many_fields_as_header",
        "row 3: fewer fields than the header, which has 3.",
        content(RATES + f"Maria,{PERSONAL}\n"),
    ),
    "two rows too short": Refused(
        "row_has_as_many_fields_as_header",
        "rows 3, 5: fewer fields than the header, which has 3.",
        content(RATES + f"Maria,{PERSONAL}\n" + ROW + "a,b\n"),
    ),
    "row too short, after quoted and blank lines": Refused(
        "row_has_as_many_fields_as_header", "row 6:", content(HEADER + '\na,"b\n\n",c\n\n\na\n')
    ),
    "row too short, further down": Refused(
        "row_has_as_many_fields_as_header", "row 100003:", content(RATES + MANY + "a,b\n" + MANY)
    ),
    "unquoted decimal comma": Refused(
        "row_has_as_many_fields_as_header",
        "row 3: more fields than the header, which has 3.",
        content(RATES + f"{PERSONAL},2025-01-01,12,50\n"),
    ),
    # What a decimal comma before an empty last value looks like: dropping it would shift amounts.
    "comma at the end of one row": Refused(
        "row_has_as_many_fields_as_header", "row 2:", content(HEADER + "EUR,12,50,\n")
    ),
    "a row of 10,000 fields": Refused(
        "row_has_as_many_fields_as_header", "more fields", content(HEADER + "a," * 10_000 + "\n")
    ),
    "a line of spaces": Refused(
        "row_has_as_many_fields_as_header", "row 3:", content(RATES + "  \n" + ROW)
    ),
    "cut off within a row": Refused(
        "row_has_as_many_fields_as_header", "row 3:", content(RATES + PERSONAL)
    ),
    "cut off within quotes": Refused("quote_is_closed", "row 3:", content(RATES + f'"{PERSONAL}')),
    "LF and CRLF": Refused(
        "lines_end_alike", "end the same way", content(RATES + ROW.strip() + "\r\n")
    ),
    "LF and CRLF further down": Refused(
        "lines_end_alike", "end the same way", content(RATES + MANY + "a,b,c\r\n" + MANY)
    ),
    "CR in an LF file": Refused(
        "lines_end_alike", "end the same way", content(RATES + "a\rb,c,d\n")
    ),
    "CR CR LF": Refused(
        "lines_end_alike", "end the same way", content(RATES.replace("\n", "\r\r\n"))
    ),
    "a line of 17 MB": Refused(
        "line_not_too_long", "row 3:", content(lambda: RATES + f'a,"{"b" * 17_000_000}",c\n')
    ),
    "a header of 17 MB": Refused("line_not_too_long", "row 1:", content(lambda: "b" * 17_000_000)),
    # Parquet
    "empty Parquet": Refused("file_not_empty", "is empty", content("", f"{NAME}.parquet")),
    "CSV called .parquet": Refused(
        "file_is_what_its_ending_says", "is not a Parquet file", content(RATES, f"{NAME}.parquet")
    ),
    "Parquet without its end": Refused(
        "parquet_is_whole", "cut off or damaged", parquet(damage=lambda data: data[:-20])
    ),
    "Parquet of only a few bytes": Refused(
        "parquet_is_whole", "cut off or damaged", parquet(damage=lambda data: data[:6])
    ),
    "Parquet damaged at the end": Refused(
        "parquet_is_whole",
        "cut off or damaged",
        parquet(damage=lambda data: data[:-40] + b"\xff" * 32 + data[-8:]),
    ),
    "Parquet damaged at the start": Refused(
        "parquet_is_whole",
        "cut off or damaged",
        parquet(damage=lambda data: data[:4] + b"\xff" * 30 + data[34:]),
    ),
    **{
        f"Parquet value {value}": Refused(
            "parquet_value_is_plain", "column currency_code is", parquet(value)
        )
        for value in ("[1, 2]", "{'a': 1}", "map {'a': 1}")
    },
    "Parquet text that is not UTF-8": Refused(
        "file_is_utf_8", "is not UTF-8", parquet(r"'\xff\xfe'::blob")
    ),
}


@contextmanager
def alarm(seconds: int) -> Iterator[None]:
    """Opening a pipe waits for ever."""

    def ring(*_):
        raise TimeoutError

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_refused_says_why_and_what_to_do(tmp_path, case):
    rule, words, make, name = REFUSED[case]
    make(tmp_path)
    with alarm(60), duckdb.connect(":memory:") as con, pytest.raises(FileFault) as fault:
        land(con, str(tmp_path), name)
    message = str(fault.value)
    assert fault.value.rule == rule
    assert words in message
    assert message.startswith(str(tmp_path))
    assert message.endswith(f"{FILE_RULES[rule][1]} [{rule}]")
    assert message.count("[") == 1 and "\n" not in message
    assert PERSONAL not in message and "maria" not in message.lower()
    assert "Error" not in message


def test_an_unknown_home_is_reported():
    with pytest.raises(FileFault, match="the user after ~ does not exist") as fault:
        land_rates(Path("~nobody-is-called-so"))
    assert fault.value.rule == "folder_is_there"


def test_each_file_rule_says_what_it_requires_and_what_to_do():
    # What can't be read is tried by a user of its own, below.
    assert {case.rule for case in REFUSED.values()} | {"file_can_be_read"} == set(FILE_RULES)
    for says, remedy in FILE_RULES.values():
        assert says.endswith(".") and remedy.endswith(".")


def test_all_faults_of_an_input_are_reported_at_once(tmp_path):
    files(
        **{
            f"{NAME}/1.csv": HEADER + "a,b\n",
            f"{NAME}/2.csv": RATES,
            f"{NAME}/3.csv": "",
            f"{NAME}/4.csv": "currency_code,rate_date\n",
        }
    )(tmp_path)
    with pytest.raises(FileFault) as fault:
        land_rates(tmp_path)
    rules = ["row_has_as_many_fields_as_header", "file_not_empty", "header_has_all_columns"]
    assert [rule for rule, _ in fault.value.broken] == rules
    for line, number, rule in zip(str(fault.value).splitlines(), (1, 3, 4), rules, strict=True):
        assert f"/{number}.csv: " in line and line.endswith(f"[{rule}]")


def test_faults_do_not_end_the_transaction_of_a_build(tmp_path):
    """Nor hide one another: DuckDB refuses all further statements after an error."""
    mixed = RATES + ROW.strip() + "\r\n"
    files(**{f"{NAME}/{number}.csv": mixed for number in (1, 2)})(tmp_path)
    with duckdb.connect(":memory:") as con:
        con.execute("begin")
        with pytest.raises(FileFault) as fault:
            land(con, str(tmp_path), NAME)
        assert con.execute("select 1").fetchall() == [(1,)]
    assert [rule for rule, _ in fault.value.broken] == ["lines_end_alike"] * 2


AS_NOBODY = """
import os, sys
import duckdb
from customer_loyalty.errors import FileFault
from customer_loyalty.inputs.files import land
con = duckdb.connect(":memory:")
land(con, sys.argv[-1], "raw_exchange_rates")  # as root, who may import what it needs
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
for folder in sys.argv[1:]:
    try:
        print(land(con, folder, "raw_exchange_rates").count("*").fetchall())
    except FileFault as fault:
        print(fault)
"""


def test_an_unreadable_file_is_refused():
    """As a user who is not root, who may read everything; in a folder that all may enter."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home)
        folder.chmod(0o755)
        forbidden = []
        for number, make in enumerate((content(RATES), parquet(), content(RATES, f"{NAME}/a.csv"))):
            (folder / str(number)).mkdir()
            make(folder / str(number))
            forbidden.append(next((folder / str(number)).iterdir()))
        forbidden.append(folder / "3")
        content(RATES)(folder / "3")
        content(RATES)(folder / "4")
        for path in forbidden:
            path.chmod(0)
        done = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, *(str(folder / str(number)) for number in range(5))],
            cwd=PROJECT,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            encoding="utf-8",
            check=True,
        )
        for path in forbidden:
            path.chmod(0o755)
    *messages, read = done.stdout.splitlines()
    remedy = FILE_RULES["file_can_be_read"][1]
    assert messages == [
        f"{path}: can't be read: Permission denied. {remedy} [file_can_be_read]"
        for path in forbidden
    ]
    assert read == "[(1,)]"


@pytest.mark.parametrize("make", [content(RATES + MANY), parquet("repeat('a', 3000000)")])
def test_an_error_that_is_not_the_files_is_not_a_file_fault(tmp_path, make):
    make(tmp_path)
    with duckdb.connect(":memory:") as con:
        con.execute("set memory_limit = '1MB'; set temp_directory = ''")
        with pytest.raises(duckdb.OutOfMemoryException):
            land(con, str(tmp_path), NAME)


def test_a_build_reports_the_faults_of_all_inputs(dbt, tmp_path):
    raw = clean()
    raw["raw_customers"][3]["full_name"] = PERSONAL
    write_csv(tmp_path / "data", raw)
    for name in ("raw_exchange_rates", "raw_subscriptions"):
        (tmp_path / "data" / f"{name}.csv").unlink()
    a_pipe(tmp_path / "data")
    with (tmp_path / "data" / "raw_customers.csv").open("a") as file:
        file.write(f'C99,2025-01-01,maria@example.com,"{PERSONAL}\n')
    files(
        **{
            "raw_surveys.csv": ",".join(INPUTS["raw_surveys"]).replace("score", "Score") + "\n",
            "raw_subscriptions/1.csv": ",".join(INPUTS["raw_subscriptions"])
            + "\ns1,c1,,,12,50,EUR",
            "raw_subscriptions/2.csv": "",
        }
    )(tmp_path / "data")
    run = dbt("build", vars={"raw_data": str(tmp_path / "data")})
    assert run.exit_code != 0
    for rule in (
        "quote_is_closed",
        "file_is_a_file",
        "header_has_all_columns",
        "row_has_as_many_fields_as_header",
        "file_not_empty",
    ):
        assert f"{FILE_RULES[rule][1]} [{rule}]" in run.output
    for word in ("Traceback", "Invalid Input", "Original Line", PERSONAL, "maria@"):
        assert word not in run.output
    assert not Path(run.published).exists()
