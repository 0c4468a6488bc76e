"""What is given from outside, in settings, paths and data, is refused in a line or taken as it is.

Nothing of it becomes SQL, Jinja, Python, make or shell.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from zoneinfo import available_timezones

import duckdb
import pytest
import yaml
from click.testing import CliRunner
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from customer_loyalty import cli
from customer_loyalty.plugin import check_warehouse
from test_gate import clean
from warehouse import PROJECT, rows_of, run_dbt, write_csv_in_parts

# What means something to one of those who read it, and what looks like an answer but is none: a
# line break that $ lets by, digits and letters that Unicode calls so.
PIECES = (
    *(
        "'",
        '"',
        "`",
        ";",
        "--",
        "/*",
        "*/",
        "\\",
        "\\'",
        "\n",
        "\r",
        "\t",
        "\0",
        " ",
        "%s",
        "$(id)",
    ),
    *("{{ 1/0 }}", "{% raw %}", "{#", "#}", "}}", "{{ run_query('drop schema marts cascade') }}"),
    *("drop table marts.nps", "null", "None", "true", "[]", "\u2028", "\u202e", "é", "x" * 3000),
)
ALMOST = (
    "EUR",
    "ＥＵＲ",
    "ΕUR",
    "UTC",
    "all",
    "1-4",
    "-1-1",
    "١-٤",
    "2025-01-31",
    "２０２５-01-31",
)
TEXTS = st.lists(st.sampled_from(PIECES), min_size=1, max_size=4).map("".join) | st.tuples(
    st.sampled_from(ALMOST), st.sampled_from(("", "", "\n", " ", "'", "\0"))
).map("".join)
# A failure needs no smaller one: all settings are tried at once.
QUICK = settings(
    max_examples=40, deadline=None, database=None, derandomize=True, phases=[Phase.generate]
)
LISTS = ("sources", "period_grains", "segment_dimensions")
NUMBERS = (
    *("activity_window_days", "fiscal_year_start_month", "cltv_window_days", "minimum_responses"),
    *("csat_satisfied_share", "ces_easy_share", "max_quarantined_share", "allow_empty_inputs"),
)


def is_day(text: str) -> bool:
    try:
        return bool(re.fullmatch("[0-9]{4}-[0-9]{2}-[0-9]{2}", text) and date.fromisoformat(text))
    except ValueError:
        return False


def told_of(faults: list[str]) -> set[str]:
    """Return which names faults report, each in one line that ends with what was found."""
    for fault in faults:
        assert fault.isprintable() and len(fault) < 250
        assert re.search(r"""; found (".*["…]|\{.*[}…])$""", fault), fault
    return {fault.split()[0] for fault in faults}


@settings(QUICK)
@given(data=st.data())
def test_no_text_is_a_setting_unless_it_is_one_of_its_values(project, data):
    text = {
        name: data.draw(TEXTS)
        for name in (
            *LISTS,
            *NUMBERS,
            *("as_of_date", "reporting_currency", "reporting_time_zone", "nps_responses"),
            *("csat_satisfied_from", "raw_data", "raw_schema"),
        )
    }
    vars = text | {name: [text[name]] for name in LISTS}
    # dbt does not accept a longer name as YAML.
    text["csat_satisfied_from"] = text["csat_satisfied_from"][:1000]
    vars["csat_satisfied_from"] = {text["csat_satisfied_from"]: 1}
    harmless = {"raw_data"}
    if is_day(text["as_of_date"]):
        harmless.add("as_of_date")
    if re.fullmatch("[A-Z_a-z][0-9A-Z_a-z]{0,62}", text["raw_schema"], re.ASCII):
        harmless.add("raw_schema")
    if re.fullmatch("[A-Z]{3}", text["reporting_currency"], re.ASCII):
        harmless.add("reporting_currency")
    if text["reporting_time_zone"] in available_timezones():
        harmless.add("reporting_time_zone")
    if text["nps_responses"] == "all":
        harmless.add("nps_responses")
    if text["csat_satisfied_from"] in ("1-4", "-1-1"):
        harmless.add("csat_satisfied_from")
    assert told_of(project.setting_faults(vars)) == vars.keys() - harmless


@pytest.mark.parametrize(
    "around", ["{}\n", "\n{}", "{} ", "{}\0", "{}'", "{}; --", "{{{{ '{}' }}}}"]
)
def test_a_value_with_something_around_it_is_another(project, around):
    right = {
        "as_of_date": "2025-01-31",
        "raw_schema": "shop",
        "reporting_currency": "EUR",
        "reporting_time_zone": "UTC",
        "nps_responses": "all",
        "csat_satisfied_from": {"1-4": 3},
    }
    assert project.setting_faults(right) == []
    wrong = {name: around.format(value) for name, value in right.items()}
    wrong["csat_satisfied_from"] = {around.format("1-4"): 3}
    assert told_of(project.setting_faults(wrong)) == wrong.keys()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("as_of_date", "２０２５-01-31"), ("as_of_date", "2025-٠1-31")),
        *(("reporting_currency", "ＥＵＲ"), ("reporting_currency", "ΕUR")),
        *(("raw_schema", "ｓhop"), ("raw_schema", "shop２")),
        ("csat_satisfied_from", {"١-٤": 3}),
    ],
)
def test_letters_and_digits_are_those_of_ascii(project, name, value):
    assert told_of(project.setting_faults({name: value})) == {name}


@settings(QUICK)
@given(text=TEXTS)
def test_no_text_is_a_number_a_list_or_a_mapping(project, text):
    vars = dict.fromkeys((*LISTS, *NUMBERS, "csat_satisfied_from"), text)
    assert told_of(project.setting_faults(vars)) == vars.keys()


@settings(QUICK)
@given(data=st.data())
def test_a_parameter_of_an_analysis_is_refused_or_a_literal(project, data):
    text = {name: data.draw(TEXTS) for name in ("period_grain", "period_start", "dimension")}
    harmless = {name for name, value in text.items() if name == "period_start" and is_day(value)}
    harmless |= {name for name, value in text.items() if name == "dimension" and value == "all"}
    found = told_of(project.parameter_faults("reconcile_retention", text))
    assert found == text.keys() - harmless

    segment = data.draw(TEXTS)
    if "\0" in segment:
        # No SQL can hold it.
        faults = project.parameter_faults("reconcile_retention", {"segment": segment})
        assert told_of(faults) == {"segment"}
        return
    sql = project.analysis("reconcile_retention", {"segment": "PLACE"})
    literal = "'" + segment.replace("'", "''") + "'"
    assert sql.count("'PLACE'") == 1
    assert project.analysis("reconcile_retention", {"segment": segment}) == sql.replace(
        "'PLACE'", literal
    )
    assert duckdb.execute(f"select {literal}").fetchall() == [(segment,)]


def test_a_var_is_not_run_as_jinja(tmp_path):
    """By a whole command, in which Jinja could reach the database."""
    attack = "{{ run_query('create table main.planted as select 1') }}"
    run = run_dbt(tmp_path, "seed", "--select", "countries")
    assert run.exit_code == 0, run.output
    for vars in (
        {"as_of_date": attack},
        {"reporting_time_zone": f"UTC{attack}\n"},
        {"raw_schema": attack, "sources": ["tables"]},
    ):
        # A file that is parsed already is not parsed again: the hook must refuse as well.
        for parsed in ((), ("--no-partial-parse",)):
            run = run_dbt(tmp_path, "seed", "--select", "countries", *parsed, vars=vars)
            assert run.exit_code != 0
            [fault] = re.findall(r"^ +- (.*)$", run.output, re.MULTILINE)
            assert attack in fault and fault.startswith(next(iter(vars)))
    with duckdb.connect(run.warehouse, read_only=True) as con:
        assert "planted" not in str(rows_of(con, "select * from information_schema.tables"))


@pytest.mark.parametrize(
    "value", ["😀 ü", "a\x7fb\x85c\ufeff", "{{ x }}", 'it\'s "so"', "\\n\n", "1e-5", "2025-01-31"]
)
def test_make_hands_vars_to_dbt_as_they_are(monkeypatch, value):
    seen = []

    def run(*command):
        seen.append(yaml.safe_load(command[command.index("--vars") + 1]))
        return 3

    monkeypatch.setattr(cli, "run_dbt", run)
    monkeypatch.chdir(PROJECT)
    for name in ("LOYALTY_WAREHOUSE", "LOYALTY_PUBLISHED"):
        monkeypatch.setenv(name, "x.duckdb")
    vars = {value: value, "share": 1e-5, "none": None, "list": [value, True]}
    options = ["--raw-data", f"/{value}", "--vars", json.dumps(vars)]
    assert CliRunner().invoke(cli.main, ["build", *options]).exit_code == 3
    assert seen == [vars | {"raw_data": f"/{value}"}]


@pytest.mark.skipif(not shutil.which("make"), reason="there is no make")
def test_make_and_the_shell_run_nothing_of_what_they_are_given(tmp_path):
    attack = "$(shell touch ran) `touch ran` $(touch ran); touch ran # '\" \\ {{ x }} % no-print"
    folder, tools = tmp_path / attack, tmp_path / "tools"
    folder.mkdir()
    tools.mkdir()
    python = tools / "python"
    python.write_text('#!/bin/sh\nfor one in "$@"; do printf "%s\\n" "$one"; done > "$SEEN"\n')
    python.chmod(0o755)
    given = [f"RAW_DATA={attack}", f"VARS={attack}"]
    # Nothing is installed: what the build needs is taken for made already.
    made = ("-o", ".venv/.runtime", "-o", "profiles.yml", f"BIN={tools}")
    clean_env = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    for arguments, variables in ((given, {}), ([], dict(one.split("=", 1) for one in given))):
        done = subprocess.run(
            ["make", "-C", str(PROJECT), *made, "build", *arguments],
            cwd=folder,
            env=clean_env | variables | {"PWD": str(folder), "SEEN": str(tmp_path / "seen")},
            capture_output=True,
            encoding="utf-8",
            check=False,
        )
        assert done.returncode == 0, done.stderr
        options = ["--raw-data", attack, "--vars", attack, "--relative-to", str(folder)]
        seen = (tmp_path / "seen").read_text("utf-8").splitlines()
        assert seen == ["-m", "customer_loyalty", "build", *options]
    assert not (PROJECT / "ran").exists() and not (folder / "ran").exists()


# --- the databases ---------------------------------------------------------------------------


def check_path(path: Path) -> None:
    name = DuckDBCredentials.path_derived_database_name(str(path))
    check_warehouse(str(path), name, {}).close()


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a;b",
            "a#b",
            "a\nb",
            "a\tb",
            "it's",
            'a"b',
            "a\\b",
            "a\\",
            " a",
            "a ",
            "Marts",
            "x" * 300,
        ),
        *("x?y/a", "x#y/a", "marts.x"),
    ],
)
def test_a_working_database_that_dbt_would_take_for_another_is_refused(tmp_path, name):
    with pytest.raises(RuntimeError, match=r"LOYALTY_WAREHOUSE"):
        check_path(tmp_path / f"{name}.duckdb")
    assert not any(path.is_file() for path in tmp_path.rglob("*"))


@pytest.mark.parametrize(
    "name",
    [
        *(
            "a b",
            "a%20b",
            "a*b",
            "a[b]",
            "{{ nope() }}",
            "{% raw %}",
            "ä 😀",
            "a.b",
            "a -- b",
            "a?b",
        ),
        *("x;y/a", "x'y/a", 'x"y/a', "x\ny/a", "x\\y/a", "{{ 1%0 }}/a", "a:b", "ｍarts"),
    ],
)
def test_a_working_database_may_be_called_what_dbt_and_duckdb_call_alike(tmp_path, name):
    path = tmp_path / f"{name}.duckdb"
    check_path(path)
    assert path.is_file()


# --- a whole build ---------------------------------------------------------------------------


def test_a_build_takes_names_and_data_as_they_are(tmp_path):
    """Folders, files, databases, ids, segments, currencies that mean something elsewhere."""
    name = 'it\'s "{{ nope() }}" {% raw %} ;-- %s [*?] #\nü $(id)'
    ids = ("'; drop table marts.nps; --", "{{ nope() }} {% raw %} %s", "\\'\"/* $x")
    raw = clean()
    for row, id_ in enumerate(ids, start=5):
        raw["raw_customers"][row] |= {"customer_id": id_, "country_code": id_}
        raw["raw_orders"][row] |= {"customer_id": id_, "order_id": id_, "currency_code": id_}
        raw["raw_surveys"][row] |= {"customer_id": id_, "channel": id_}
        raw["raw_exchange_rates"][row] |= {"currency_code": id_, "rate_date": "2025-01-01"}
    folder = tmp_path / name
    write_csv_in_parts(folder, raw)
    file = f"{name} 0.csv".replace("\n", " ")
    (folder / "raw_customers" / "part 0.csv").rename(folder / "raw_customers" / file)

    run = run_dbt(
        tmp_path / "dbt",
        "build",
        vars={"raw_data": str(folder)},
        warehouse=tmp_path / "x'\"{{ nope() }}\n" / "w {{ nope() }} {% raw %} -- % *.duckdb",
        published=tmp_path / f"p {name}.duckdb",
    )

    assert run.exit_code == 0, run.output
    with duckdb.connect(run.warehouse, read_only=True) as con:
        sources = rows_of(con, "select distinct _source_file as file from staging.staged_customers")
        assert f"raw_customers/{file}" in {row["file"] for row in sources}
        found = rows_of(
            con,
            "select customer_id, currency_code, country from clean.clean_orders"
            " inner join clean.clean_customers using (customer_number, customer_id)",
        )
        assert {id_ for id_ in ids if dict.fromkeys(found[0], id_) in found} == set(ids)
    with duckdb.connect(run.published, read_only=True) as con:
        segments = rows_of(con, "select segment from marts.retention where dimension = 'country'")
        assert {row["segment"] for row in segments} >= set(ids)
        assert rows_of(con, "select count(*) as rows from marts.nps")[0]["rows"] > 0
