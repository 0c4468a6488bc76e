"""Random mixtures of faults: what the gate says of them is what was injected, no more, no less.

Each mixture goes through the gate and, where the gate opens, down to the marts. What must come out
is worked out by verdict.py and brute_force.py, which know the input contract and not the project.
"""

from __future__ import annotations

import random
import re
import traceback
from collections import Counter
from dataclasses import dataclass, field, fields

import duckdb
import pytest
import yaml

from brute_force import MARTS, marts
from compare import differences
from customer_loyalty.contract import INPUTS
from customer_loyalty.engines.duckdb import DuckDBEngine
from customer_loyalty.gate import check as gate
from customer_loyalty.gate import examples
from customer_loyalty.gate.results import Result
from mixtures import CLOCKS, KINDS, SHARES, Mixture, mixture, run_of
from test_faults import upper_floors
from test_marts import SESSION_TIME_ZONES, drawn
from verdict import FOLLOWS, RULES, Verdict, Wrong, known, verdict, whole_rules
from warehouse import PROJECT, Project, open_marts, read_folder, read_marts, rows_of, stage
from worlds import random_world, settings

ROUNDS = 2
"""How many times the normal suite goes through all kinds of mixtures."""
CLEAN_WORLDS = 200
"""How many clean worlds are checked at once, for each of some settings."""
MOST_LINES = 12


MEASURED = "input_distributions"


# --- what is expected and what is done -------------------------------------------------------


def disagreements(
    project: Project, refusal: str, made: Mixture, right: Verdict, figures: Figures
) -> list[str]:
    """List where the project does not do with a mixture what must be done."""
    is_open = not right.refused
    models = project.sql(made.settings) if is_open else upper_floors(project, made.settings)
    zone = SESSION_TIME_ZONES[len(right.left_out) % 2]
    # A given as-of date leaves no clock in the SQL.
    clock = made.run.now if is_open and not made.settings.get("as_of_date") else None
    with open_marts(models, made.raw, clock, time_zone=zone, run=made.run) as con:
        found = [
            *staged_otherwise(con, right),
            *checked_otherwise(con, right),
            *reported_otherwise(con, made, right, figures),
            *refused_otherwise(con, refusal, right),
            *left_out_otherwise(con, right),
        ]
        if is_open:
            found += computed_otherwise(con, made, right)
    return found


def staged_otherwise(con, right: Verdict) -> list[str]:
    """Every value is what was delivered: trimmed, typed, else untouched."""
    lines = []
    for name, rows in right.inputs.rows.items():
        table = f"staging.{name.replace('raw_', 'staged_')}"
        actual = by_place(rows_of(con, f"select * from {table}"))
        for row in rows:
            staged = actual.pop(row.place, None)
            if staged is None:
                lines.append(f"{name} {row.place}: is not there")
                continue
            for column, value in row.values.items():
                raw = value if isinstance(value, Wrong) else None
                if f"_uncast_{column}" in staged and staged[f"_uncast_{column}"] != raw:
                    lines.append(f"{name} {row.place}: {column} is not kept as {raw!r}")
                expected = value if known(value) else None
                if not same(expected, staged[column]):
                    lines.append(
                        f"{name} {row.place}: {column} {row.raw[column]!r} is {expected!r}, staged"
                        f" as {staged[column]!r}"
                    )
        lines += [f"{name} {place}: came from nowhere" for place in actual]
    return lines


def checked_otherwise(con, right: Verdict) -> list[str]:
    """Each rule's result: kept or not, by how many rows, and which are shown."""
    lines = []
    results = {one["rule"]: one for one in rows_of(con, "from quality.gx_validation_results")}
    # Rules on distributions are not about rows, and only warn.
    distant = results.keys() - right.rules.keys()
    assert distant == {one.name for one in gate.load_suite(MEASURED)}
    assert right.rules.keys() <= results.keys()
    for rule, one in right.rules.items():
        expected = {
            "input": one.input,
            "action": one.action,
            "success": not one.broken,
            "element_count": len(right.inputs.rows[one.input]),
            "unexpected_count": len(one.rows),
            "left_success": None if one.left_broken is None else not one.left_broken,
            "left_unexpected_count": one.left_rows,
        }
        lines += unlike(rule, expected, results[rule])
        shown = results[rule]["examples"] or ""
        places = [(file, int(row)) for file, row in re.findall(r"\((\S+) row (\d+)", shown)]
        first = one.rows[: examples.EXAMPLES]
        if places != [row.place for row in first]:
            lines.append(f"{rule}: shown {places}, expected {[row.place for row in first]}")
        for row in first:
            # An id with a blank, an @ or a letter of another script in it may be personal.
            if row.id and re.fullmatch(r"[\w-]{1,40}", row.id, re.ASCII):
                text = f"{INPUTS[row.input][0]} {row.id} "
                if text not in shown:
                    lines.append(f"{rule}: {text!r} is not in {shown!r}")
    return lines


def reported_otherwise(con, made: Mixture, right: Verdict, figures: Figures) -> list[str]:
    """Which rows break which rules, and which follow their customer."""
    follow = {(FOLLOWS, row.place) for row, reasons in right.left_out.items() if FOLLOWS in reasons}
    expected = {(rule, row.place) for rule, one in right.rules.items() for row in one.rows} | follow
    names = ", ".join(one.name for one in fields(Result))
    results = rows_of(con, f"select {names} from quality.gx_validation_results where not success")
    # What the gate does for rules of action quarantine only is done here for the others.
    failed = [
        Result(**one | {"action": "quarantine"})
        for one in results
        if one["unexpected_count"] and one["action"] != "quarantine" and one["rule"] in right.rules
    ]
    gate.broken_rows(DuckDBEngine(con), made.run, failed)
    broken = [
        "select rule, _source_file, _source_row from broken_rows",
        "select rule, _source_file, _source_row from quality.quarantine_reasons",
    ] + [
        f"select '{FOLLOWS}', _source_file, _source_row from quality.quarantined_{name}"
        " where follows_customer"
        for name in gate.QUARANTINE
    ]
    reported = con.execute(" union all ".join(broken)).fetchall()
    actual = {(rule, (file, row)) for rule, file, row in reported}
    figures.reported += len(expected & actual)
    figures.missed += len(expected - actual)
    figures.false_alarms += len(actual - expected)
    return [
        *(f"{rule} is not found in {place}" for rule, place in sorted(expected - actual)),
        *(f"{rule} is found in {place}, wrongly" for rule, place in sorted(actual - expected)),
    ]


def refused_otherwise(con, refusal: str, right: Verdict) -> list[str]:
    """Whether the gate is closed, which rules it names, and which limits."""
    text = "\n".join(text for (text,) in con.execute(refusal).fetchall())
    named = set(re.findall(r"\w+", text)) & right.rules.keys()
    lines = []
    if bool(text) != bool(right.refused) or named != right.refused:
        lines.append(f"the gate names {sorted(named)}, expected {sorted(right.refused)}: {text}")
    for name in INPUTS:
        most = right.most[name] or "none"
        excess = (
            f"{len(right.own_reasons(name))} of {len(right.inputs.rows[name])} rows of {name} break"
        )
        if (excess in text) != (name in right.too_many):
            lines.append(f"{excess!r} is present or missing, wrongly: {text}")
        elif name in right.too_many and f"{excess} rules, " not in text:
            lines.append(f"{excess!r} is missing: {text}")
        elif name in right.too_many and not re.search(
            rf"{excess}[^\n]* {most} may be quarantined", text
        ):
            lines.append(f"{name}: the limit of {most} is missing: {text}")
    return lines


def left_out_otherwise(con, right: Verdict) -> list[str]:
    """The rows of the quarantine with their reasons, the sums of these, and what is used."""
    lines = []
    summary = {one["input"]: one for one in rows_of(con, "from quality.input_summary")}
    for name, rows in right.inputs.rows.items():
        left_out, own = right.left_out_of(name), right.own_reasons(name)
        counts = Counter(reason for row in left_out for reason in right.left_out[row])
        by_number = sorted(counts.items(), key=lambda one: (-one[1], one[0]))
        expected = {
            "rows_in": len(rows),
            "rows_left_out": len(left_out),
            "rows_quarantined": len(own),
            "rows_followed": len(left_out) - len(own),
            "rows_used": len(rows) - len(left_out),
            "max_rows_quarantined": right.most[name],
            "reasons": ", ".join(f"{rule} {count}" for rule, count in by_number) or None,
        }
        if name not in gate.QUARANTINE:
            # No row of it can be left out, so nobody asks how many may be.
            del expected["max_rows_quarantined"]
        lines += unlike(f"input_summary of {name}", expected, summary[name])
        used = con.execute(
            f"select count(*) from clean.{name.replace('raw_', 'clean_')}"
        ).fetchall()[0][0]
        if used + len(left_out) != len(rows):
            lines.append(f"{name}: {used} used and {len(left_out)} left out of {len(rows)}")
        if name in gate.QUARANTINE:
            lines += quarantined_otherwise(con, name, right)
    return lines


def quarantined_otherwise(con, name: str, right: Verdict) -> list[str]:
    """The rows of one input that are left out."""
    lines = []
    actual = by_place(rows_of(con, f"from quality.quarantined_{name}"))
    for row in right.left_out_of(name):
        reasons = right.left_out[row]
        values = {
            column: value if known(value) else None
            for column, value in row.values.items()
            if column in actual.get(row.place, ())
        }
        expected = values | {
            "source_system": row.source,
            "reasons": ", ".join(reasons),
            "breaks_a_rule": reasons != [FOLLOWS],
            "follows_customer": FOLLOWS in reasons,
        }
        lines += unlike(f"quarantined {row.place}", expected, actual.pop(row.place, {}))
    lines += [f"quarantined {place}: {row['reasons']}" for place, row in actual.items()]
    return lines


def computed_otherwise(con, made: Mixture, right: Verdict) -> list[str]:
    """Every cell of every mart, from the rows that are used."""
    kept = {name: [row.plain() for row in right.used(name)] for name in INPUTS}
    expected = marts(kept, made.settings | {"today": made.today})
    keys = "select customer_key, customer_id from clean.clean_customers"
    actual = read_marts(con, dict(con.execute(keys).fetchall()))
    return [line for mart in MARTS for line in differences(mart, expected[mart], actual[mart])]


def by_place(rows: list[dict]) -> dict[tuple[str, int], dict]:
    found = {(row["_source_file"], row["_source_row"]): row for row in rows}
    assert len(found) == len(rows), "a row is there twice"
    return found


def unlike(what: str, expected: dict, actual: dict) -> list[str]:
    return [
        f"{what}: {column} is {actual.get(column)!r}, expected {value!r}"
        for column, value in expected.items()
        if not same(value, actual.get(column))
    ]


def same(expected, actual) -> bool:
    return type(expected) is type(actual) and expected == actual


# --- mixtures --------------------------------------------------------------------------------


@dataclass
class Figures:
    """What came of some mixtures."""

    mixtures: int = 0
    opened: int = 0
    rows: int = 0
    faults: Counter = field(default_factory=Counter)
    rules: Counter = field(default_factory=Counter)
    reported: int = 0
    missed: int = 0
    false_alarms: int = 0
    wrong: dict[str, list[str]] = field(default_factory=dict)

    def add(self, made: Mixture, right: Verdict) -> None:
        self.mixtures += 1
        self.opened += not right.refused
        self.rows += sum(map(len, made.raw.values()))
        self.faults.update(one.action for one in made.faults)
        self.rules.update({rule: one.broken for rule, one in right.rules.items()})

    def lines(self) -> list[str]:
        """Return the figures in words."""
        injected = ", ".join(f"{count:,} {action}" for action, count in sorted(self.faults.items()))
        hit = {rule for rule, count in self.rules.items() if count}
        missed = sorted(self.rules.keys() - hit)
        return [
            f"{self.mixtures:,} mixtures, {self.rows:,} rows; the gate opened for {self.opened:,}",
            f"faults injected: {sum(self.faults.values()):,} ({injected})",
            f"rules broken: {len(hit)} of {len(self.rules)}"
            + (f", never {', '.join(missed)}" if missed else ""),
            f"rows found by a rule, or with their customer: {self.reported:,} rightly,"
            f" {self.false_alarms:,} wrongly; {self.missed:,} missed",
            f"mixtures with a disagreement: {len(self.wrong)}",
        ]


def settings_of(run: str, group: int) -> dict:
    """Draw the settings that some mixtures of a run have in common."""
    rng = random.Random(f"{run} {group}")
    if rng.random() < 0.15:
        return {}
    chosen = dict(rng.choice(drawn(settings(), 12, f"{run} {group}")))
    if rng.random() < 0.5:
        # Seen from an early day a world has little to show.
        chosen.pop("as_of_date", None)
    return chosen | {"max_quarantined_share": rng.choice(SHARES)}


def made_of(run: str, number: int) -> Mixture:
    """Make a mixture of a run; those that follow one another share their settings."""
    return mixture(run, number, settings_of(run, number // len(KINDS)))


def try_mixture(project: Project, refusal: str, made: Mixture, figures: Figures) -> None:
    """Try a mixture, and note the outcome."""
    try:
        right = verdict(made.raw, made.settings, made.run)
        figures.add(made, right)
        found = [
            f"verdict.py does not find {one.fault.name} by {one.fault.rules}"
            for one in made.faults
            if not one.is_found
        ] + disagreements(project, refusal, made, right, figures)
    except Exception:
        found = [traceback.format_exc()]
    if found:
        figures.wrong[made.name] = found


def report(figures: Figures) -> str:
    lines = []
    for name, found in figures.wrong.items():
        more = [f"… and {len(found) - MOST_LINES} more"] if len(found) > MOST_LINES else []
        lines += [f"mixture {name}:", *found[:MOST_LINES], *more]
        lines.append(f"Repeat it by: make test-long SEED={name}")
    return "\n".join(lines)


@pytest.mark.parametrize("number", range(ROUNDS * len(KINDS)))
def test_exactly_the_injected_faults_are_reported(project, refusal_sql, random_seed, number):
    figures = Figures()
    try_mixture(project, refusal_sql, made_of(random_seed, number), figures)
    assert not figures.wrong, report(figures)


@pytest.mark.long
def test_for_long(project, refusal_sql, long_run, capsys):
    """New mixtures until the time is over, then their outcomes."""
    figures = Figures()
    run, number = long_run.seed, None
    if repeated := re.fullmatch(r"(.+)-(\d+)", run):
        run, number = repeated[1], int(repeated[2])
    for one in [number] if repeated else long_run.numbers():
        if one % len(KINDS) == 0:
            # The SQL of these settings is not needed again.
            project.compiled.clear()
        try_mixture(project, refusal_sql, made_of(run, one), figures)
    with capsys.disabled():
        print("", *figures.lines(), sep="\n")
    assert not figures.wrong, report(figures)


def test_every_rule_is_broken_and_the_gate_opens_for_some(random_seed):
    """Mixtures in which a rule is never broken would say nothing about it."""
    figures = Figures()
    for number in range(ROUNDS * len(KINDS)):
        made = made_of(random_seed, number)
        figures.add(made, verdict(made.raw, made.settings, made.run))
    assert {rule for rule, count in figures.rules.items() if not count} == set()
    assert figures.mixtures / 5 < figures.opened < figures.mixtures


def test_verdict_knows_every_rule():
    """A rule of a suite needs a line in RULES of verdict.py, which says it in plain Python."""
    for name in INPUTS:
        suite = {one.name: one.action for one in gate.load_suite(name)}
        whole = whole_rules(name, [], gate.Run("", None, [], [], []), before=0)
        expected = {rule: action for rule, (action, _) in (RULES[name] | whole).items()}
        assert suite == expected


def test_the_limit_is_the_one_of_the_project():
    """The share that verdict.py takes where none is set."""
    project = yaml.safe_load((PROJECT / "dbt_project.yml").read_text("utf-8"))["vars"]
    assert project["max_quarantined_share"] == 0.01


# --- clean inputs ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(2))
def test_clean_worlds_break_no_rule(project, random_seed, number):
    """Many worlds at once: each has ids of its own, but the rates of all are together."""
    chosen = settings_of(f"{random_seed} clean", number)
    assert_not_accused(project, chosen, f"{random_seed} {number}", CLEAN_WORLDS)


def assert_not_accused(project: Project, chosen: dict, seed: str, number: int) -> None:
    rng = random.Random(seed)
    together: dict[str, list[dict]] = {name: [] for name in INPUTS}
    rates = set()
    for world in range(number):
        for name, rows in random_world(rng, chosen).items():
            for row in rows:
                row |= {"source_system": row.get("source_system", "files")}
                if name == "raw_exchange_rates":
                    rate = (row["source_system"], row["currency_code"], row["rate_date"])
                    if rate in rates:
                        continue
                    rates.add(rate)
                together[name].append(row | in_world(world, name, row))
    run = run_of(CLOCKS[0], ["demo", "files"], chosen)
    assert_right_results(project, together, chosen, run)


def in_world(world: int, name: str, row: dict) -> dict:
    """Return the ids of a row as those of one world among many; blanks around them stay."""
    return {
        column: text.replace(text.strip(), f"{world}:{text.strip()}")
        for column in {INPUTS[name][0], "customer_id"} & row.keys() - {"currency_code"}
        if (text := row[column] or "").strip()
    }


def assert_right_results(project: Project, raw: dict, chosen: dict, run: gate.Run) -> None:
    """No rule is broken but by what is worth a warning."""
    right = verdict(raw, chosen, run)
    expected = {rule: len(one.rows) for rule, one in right.rules.items() if one.broken}
    with duckdb.connect(":memory:") as con:
        stage(con, project.sql(chosen), raw)
        results = gate.validate(DuckDBEngine(con), run)
    broken = {one.rule: one for one in results if not one.success}
    assert {rule for rule, one in broken.items() if one.action != "warn"} == set()
    assert {rule: one.unexpected_count for rule, one in broken.items()} == expected


def test_the_demo_gives_no_false_alarm(project):
    raw = read_folder(PROJECT / "seeds")
    assert_right_results(project, raw, {}, run_of(CLOCKS[-1], ["files"], {}))
