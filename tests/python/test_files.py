"""A folder of files: what may be in it, what is refused, and with which words."""

from __future__ import annotations

import codecs
import csv
import os
from pathlib import Path

import duckdb
import pytest

from customer_loyalty.contract import INPUTS
from customer_loyalty.files import FileFault, land

RATES = "currency_code,rate_date,rate_to_reporting\n"


def land_rates(folder: Path) -> list[tuple]:
    with duckdb.connect(":memory:") as con:
        return land(con, str(folder), "raw_exchange_rates").fetchall()


def rates(folder: Path, content: str | bytes, name: str = "raw_exchange_rates.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    data = content if isinstance(content, bytes) else content.encode()
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    ("content", "row"),
    [
        (RATES + "USD,2025-01-01,0.9\n", ("USD", "2025-01-01", "0.9")),
        (RATES + "USD,2025-01-01,0.9", ("USD", "2025-01-01", "0.9")),
        (RATES.replace("\n", "\r\n") + "USD,2025-01-01,0.9\r\n", ("USD", "2025-01-01", "0.9")),
        (codecs.BOM_UTF8 + RATES.encode() + b"USD,2025-01-01,0.9\n", ("USD", "2025-01-01", "0.9")),
        (RATES + '007,"1,2\n3","say ""no"""\n', ("007", "1,2\n3", 'say "no"')),
        (RATES + "NA,null,none\n", ("NA", "null", "none")),
        (RATES + 'nan,"",\n', ("nan", None, None)),
        ("x,rate_to_reporting,currency_code,x,rate_date\n1,2,3,4,5\n", ("3", "5", "2")),
        ("currency_code , rate_date,rate_to_reporting\na,b,c\n", ("a", "b", "c")),
        (RATES + "ü,שלום,日本 😀\n", ("ü", "שלום", "日本 😀")),
        (RATES + f"a,{'b' * 3_000_000},c\n", ("a", "b" * 3_000_000, "c")),
    ],
)
def test_csv_is_read_as_it_is(tmp_path, content, row):
    [found] = land_rates(rates(tmp_path, content))
    assert tuple(value or None for value in found[:3]) == row
    assert found[3:] == ("raw_exchange_rates.csv", 2)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "without even a header"),
        ("currency_code,rate_date\nUSD,2025-01-01\n", "column rate_to_reporting is missing"),
        (codecs.BOM_UTF8, "the first line, where the header belongs, is empty"),
        ("\n" + RATES, "the first line, where the header belongs, is empty"),
        (RATES + "USD,2025-01-01,1\r\n", "some lines end in CRLF and some in LF"),
        (RATES.replace(",", ";"), "separated by semicolons"),
        (RATES.replace(",", "\t"), "separated by tabs"),
        (RATES.encode("utf-16"), "UTF-16"),
        (RATES.replace("rate_date", "rate_dåte").encode("latin-1"), "not UTF-8"),
        (RATES.encode() + "ÅLD,2025-01-01,1\n".encode("latin-1"), "not UTF-8"),
        (RATES.strip() + ",rate_date\n", "column rate_date is there twice"),
        (RATES + "USD,2025-01-01\n", "number of columns is not the header's"),
        (RATES + "USD,2025-01-01,1,2\n", "number of columns is not the header's"),
        (RATES + 'USD,"2025-01-01,1\nEUR,2025-01-01,1\n', "a double quote is not closed"),
        ("USD,2025-01-01,1\nEUR,2025-01-01,1\n", "the first line is no header"),
    ],
)
def test_what_is_no_such_csv_is_refused(tmp_path, content, told):
    with pytest.raises(FileFault) as fault:
        land_rates(rates(tmp_path, content))
    assert told in str(fault.value)
    assert str(tmp_path / "raw_exchange_rates.csv") in str(fault.value)


def test_a_message_quotes_no_line(tmp_path):
    with pytest.raises(FileFault) as fault:
        land_rates(rates(tmp_path, RATES + "USD,2025-01-01,1\nMaria,Virtanen\n"))
    assert "line 3" in str(fault.value)
    assert "Maria" not in str(fault.value)


def test_a_message_takes_no_row_for_a_header(tmp_path):
    rates(tmp_path, "00042,maria@example.com,Maria Virtanen\n1,b,c\n")
    with pytest.raises(FileFault) as fault:
        land_rates(tmp_path)
    assert "00042" not in str(fault.value) and "aria" not in str(fault.value)
    rates(tmp_path, "currency_code,maria@example.com\n1,b\n")
    with pytest.raises(FileFault, match="Found: currency_code, …") as fault:
        land_rates(tmp_path)


def test_the_folder_must_be_there(tmp_path):
    with pytest.raises(FileFault, match="is not there"):
        land_rates(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(FileFault, match="is a file"):
        land_rates(tmp_path / "file")


def test_an_optional_input_may_be_missing_but_not_misspelt(tmp_path):
    assert land_rates(tmp_path) == []
    rates(tmp_path, RATES, "raw_products.csv")
    rates(tmp_path, RATES, "raw_orders.csv")
    assert land_rates(tmp_path) == []


@pytest.mark.parametrize(
    "name", ["raw_exchange_rates.xlsx", "raw_exchange_rate.csv", "RAW_EXCHANGE_RATES.CSV"]
)
def test_a_name_that_is_nearly_right_is_refused(tmp_path, name):
    rates(tmp_path, RATES, name)
    with pytest.raises(FileFault, match=f"Found: {name}. Save {name} as one of these"):
        land_rates(tmp_path)


def test_a_required_input_must_be_there(tmp_path):
    rates(tmp_path, RATES, "orders.csv")
    with duckdb.connect() as con, pytest.raises(FileFault, match=r"no raw_orders.csv.*orders.csv"):
        land(con, str(tmp_path), "raw_orders")


def test_a_folder_of_files_is_one_input(tmp_path):
    rates(tmp_path, RATES + "b,2,3\n", "raw_exchange_rates/2.csv")
    other_order = "rate_date,currency_code,rate_to_reporting\n"
    rates(tmp_path, other_order + "1,a,3\n", "raw_exchange_rates/1.csv")
    rates(tmp_path, "", "raw_exchange_rates/_SUCCESS")
    rates(tmp_path, "", "raw_exchange_rates/.hidden.csv")
    assert land_rates(tmp_path) == [
        ("a", "1", "3", "raw_exchange_rates/1.csv", 2),
        ("b", "2", "3", "raw_exchange_rates/2.csv", 2),
    ]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["raw_exchange_rates/a.txt"], "a.txt is neither"),
        (["raw_exchange_rates/a.csv", "raw_exchange_rates/b.parquet"], "mixed"),
        (["raw_exchange_rates/_SUCCESS"], "is empty"),
        (["raw_exchange_rates.csv", "raw_exchange_rates.parquet"], "Keep one of them"),
    ],
)
def test_a_folder_that_leaves_it_open_is_refused(tmp_path, names, told):
    for name in names:
        rates(tmp_path, RATES, name)
    with pytest.raises(FileFault, match=told):
        land_rates(tmp_path)


def test_all_faults_of_an_input_are_told_at_once(tmp_path):
    for name in ("1.csv", "2.csv"):
        rates(tmp_path, "a,b\n", f"raw_exchange_rates/{name}")
    with pytest.raises(FileFault) as fault:
        land_rates(tmp_path)
    assert "1.csv" in str(fault.value) and "2.csv" in str(fault.value)


@pytest.mark.parametrize("name", ["a b", "it's", 'say "x"', "{{ x }}", "[1]", "st*r?", "a\nb", "ä"])
def test_a_path_is_only_a_path(tmp_path, name):
    rates(tmp_path / name, RATES + "USD,2025-01-01,1\n")
    rates(tmp_path / name, "1", "unrelated.csv")
    assert len(land_rates(tmp_path / name)) == 1


def test_parquet_is_brought_to_text(tmp_path):
    with duckdb.connect(":memory:") as con:
        con.execute("set TimeZone = 'America/New_York'")
        con.execute(
            f"""
            copy (
                select 42::bigint as order_id, '007'::blob as customer_id, 29.33::double as amount,
                    timestamptz '2025-01-10 12:00:00+02' as ordered_at, null::varchar as status,
                    'EUR' as currency_code, 1.5::decimal(9, 2) as refunded_amount
            ) to '{tmp_path}/raw_orders.parquet'
            """
        )
        [row] = land(con, str(tmp_path), "raw_orders").fetchall()
    found = dict(zip((*INPUTS["raw_orders"], "file", "row"), row, strict=True))
    assert found == {
        "order_id": "42",
        "customer_id": "007",
        "ordered_at": "2025-01-10 05:00:00-05",
        "status": None,
        "currency_code": "EUR",
        "amount": "29.33",
        "refunded_amount": "1.50",
        "file": "raw_orders.parquet",
        "row": 1,
    }


def test_a_corrupt_parquet_file_is_refused(tmp_path):
    rates(tmp_path, b"PAR1 nothing PAR1", "raw_exchange_rates.parquet")
    with pytest.raises(FileFault, match="no readable Parquet file"):
        land_rates(tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_refused(tmp_path):
    rates(tmp_path, RATES)
    (tmp_path / "raw_exchange_rates.csv").chmod(0)
    with pytest.raises(FileFault, match="Permission denied"):
        land_rates(tmp_path)


def test_rows_keep_their_numbers_in_a_large_file(tmp_path):
    """Large enough for DuckDB to read it in parallel."""
    with (tmp_path / "raw_exchange_rates.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(INPUTS["raw_exchange_rates"])
        writer.writerows((f"c{row}", "2025-01-01", "x" * 40) for row in range(2, 600_002))
    with duckdb.connect(":memory:", config={"threads": 4}) as con:
        relation = land(con, str(tmp_path), "raw_exchange_rates")
        wrong = relation.filter("currency_code != 'c' || _source_row").count("*").fetchall()
        assert relation.count("*").fetchall() == [(600_000,)]
    assert wrong == [(0,)]
