"""Random mixtures of faults, written over random clean worlds.

A mixture is made of two words, which are all it takes to make it again: the run that it was drawn
in, and its number there. What a mixture breaks is not decided here but in verdict.py, which looks
at the rows alone; each fault only claims the rules that must find it.
"""

from __future__ import annotations

import csv
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from zoneinfo import ZoneInfo

from customer_loyalty.contract import INPUTS
from customer_loyalty.gate import check as gate
from faults import FAULTS, Fault
from verdict import READERS, RESERVED, RULES, Inputs, Row, calendar_date, known, timestamp
from worlds import random_world

REFERENCE = Path(__file__).resolve().parents[2] / "seeds" / "reference"
KINDS = ("clean", "warn", "few", "limit", "any", "lonely", "any", "whole")
"""What mixtures there are; those of a run take turns."""
SHARES = (0, 0.01, 0.01, 0.02, 0.029, 0.05, 0.07, 0.1, 0.29, 0.3, 0.57, 1)
"""Among them some whose products with whole numbers are none in binary: 0.29 of 100 is 29."""
LIMITS = (0.005, 0.29)
"""The shares of the first mixtures of a run that are about the limit."""
CLOCKS = (datetime(2025, 12, 30, 12), datetime(2026, 1, 1), datetime(2026, 6, 1, 11, 59, 59))
"""Clocks of a run: no world has anything later, but for agreed ends of contracts."""
ANY_TURNS = 4
"""How many mixtures of anything share the catalogue of faults among themselves."""
ROWS_OF_ANY = 20
QUARANTINED = tuple(name for name in RULES if name != "raw_exchange_rates")


@dataclass
class Mixture:
    """A world with the faults in it, and all that a verdict on it depends on."""

    name: str
    kind: str
    settings: dict
    run: gate.Run
    raw: dict[str, list[dict]]
    faults: list[Broken] = field(default_factory=list)

    @property
    def today(self):
        """The day of the run's clock in the reporting time zone."""
        zone = ZoneInfo(self.settings.get("reporting_time_zone", "UTC"))
        return self.run.now.replace(tzinfo=UTC).astimezone(zone).date()

    def row(self, raw: dict) -> Row:
        """Read a raw row among the others as they are now."""
        return next(row for row in self.inputs().every_row() if row.raw is raw)

    def inputs(self) -> Inputs:
        """Read the inputs as they are now."""
        return Inputs(self.raw, self.settings, self.run)


@dataclass(frozen=True)
class Broken:
    """A fault that was written, and whether verdict.py found it there and then by all its rules."""

    fault: Fault
    is_found: bool

    @property
    def action(self) -> str:
        """What the first of its rules does."""
        return action(self.fault)


def mixture(run: str, number: int, settings: dict) -> Mixture:
    """Make a mixture of a run: the world first, then the faults."""
    rng = random.Random(f"{run}-{number}")
    kind = KINDS[number % len(KINDS)]
    # Its place among those of its kind.
    turn = number // len(KINDS) * KINDS.count(kind) + KINDS[: number % len(KINDS)].count(kind)
    if kind == "limit":
        share = LIMITS[turn] if turn < len(LIMITS) else rng.choice(SHARES)
        settings = settings | {"max_quarantined_share": share}
    raw = random_world(rng, settings)
    while kind == "any" and not all(raw.get(name) for name in INPUTS):
        raw = random_world(rng, settings)
    raw = {name: raw.get(name, []) for name in INPUTS}
    sources = {row.get("source_system") or "files" for rows in raw.values() for row in rows}
    made = Mixture(
        name=f"{run}-{number}",
        kind=kind,
        settings=settings,
        run=replace(
            run_of(rng.choice(CLOCKS), sorted(sources or {"files"}), settings),
            strict=kind in ("few", "any", "lonely") and rng.random() < 0.15,
        ),
        raw=raw,
    )
    _write_oddly(rng, made)
    {
        "clean": lambda: None,
        "warn": lambda: _break_some(rng, made, ("warn",), rng.randint(1, 12)),
        "few": lambda: _break_few(rng, made),
        "limit": lambda: _break_around_the_limit(rng, made, turn),
        "any": lambda: _break_anything(rng, made, run, turn),
        "lonely": lambda: _break_the_only_row(rng, made),
        "whole": lambda: _lose_rows(rng, made, turn),
    }[kind]()
    return made


def run_of(now: datetime, sources: list[str], settings: dict) -> gate.Run:
    """Return what the gate knows of a run."""
    return gate.Run(
        run_id="test",
        now=now,
        sources=sources,
        countries=_codes("countries"),
        languages=_codes("languages"),
        allow_empty_inputs=settings.get("allow_empty_inputs", False),
    )


def _codes(name: str) -> list[str]:
    with (REFERENCE / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return [code for code, *_ in list(csv.reader(file))[1:]]


# --- what is legal but odd -------------------------------------------------------------------

BLANKS = (" ", "  ", "\t", "\n", "\u00a0", "\u3000", "\u2028", "\x1f", " \r\n")
ODD_WORDS = (
    "NULL",
    "null",
    "NaN",
    "None",
    "N/A",
    "-",
    "0",
    "é",
    "e\u0301",
    "🙂👍🏽",
    "العربية",
    "\u202eevil\u202c",
    "a\u200bb",
    "'; drop table x; --",
    'a "quoted" word',
    "a, b; c",
    "{{ ref('x') }}",
    "back\\slash",
    "%s $1 ?",
    "two\nlines",
    "All",
    "UNKNOWN",
    "x" * 300,
)
TEXTS = ("acquisition_channel", "channel", "full_name", "comment", "email")
ODD_OFFSETS = (0, 120, -300, 330, 345, -570, 840, -840, 1, -1)


def _write_oddly(rng: random.Random, made: Mixture) -> None:
    """Write values another way that means the same, and names and words as nobody expects them."""
    _rename(rng, made, "raw_customers", "customer_id", tuple(INPUTS))
    for name, column in (("raw_orders", "order_id"), ("raw_surveys", "response_id")):
        _rename(rng, made, name, column, (name,))
    for name, column in (("raw_orders", "ordered_at"), ("raw_surveys", "responded_at")):
        # The clock of the run itself is not in the future.
        if made.raw[name] and rng.random() < 0.3:
            rng.choice(made.raw[name])[column] = odd_timestamp(rng, made.run.now)
    how_odd = rng.choice((0, 0.05, 0.3))
    for rows in made.raw.values():
        for row in rows:
            for column in [one for one in row if one != "source_system"]:
                if rng.random() < how_odd:
                    row[column] = _odd(rng, column, row[column])


def _rename(rng, made: Mixture, name: str, column: str, everywhere: tuple[str, ...]) -> None:
    """Give an id of each source a name that looks like something else."""
    taken = {(row[column] or "").strip() for row in made.raw[name]}
    for source in dict.fromkeys(row.get("source_system") for row in made.raw[name]):
        ids = [row[column].strip() for row in made.raw[name] if row.get("source_system") == source]
        old = rng.choice(ids)
        new = rng.choice((*ODD_WORDS, old.swapcase(), f"0{old}", "someone@example.com", "1e3"))
        if new in taken:
            continue
        for other in everywhere:
            for row in made.raw[other]:
                named = row.get(column) or ""
                if row.get("source_system") == source and named.strip() == old:
                    row[column] = named.replace(old, new)
        taken.add(new)


def _odd(rng: random.Random, column: str, text: str | None) -> str | None:
    text = (text or "").strip()
    reader = READERS.get(column)
    if not text:
        return rng.choice(("", None, *BLANKS))
    if reader is timestamp:
        text = odd_timestamp(rng, timestamp(text))
    elif reader is calendar_date:
        text += rng.choice(("", " 00:00", "T00:00:00", " 00:00:00.000"))
    elif reader:
        text = odd_number(rng, text)
    elif column in TEXTS:
        text = rng.choice(ODD_WORDS)
    return rng.choice(("", *BLANKS)) + text + rng.choice(("", *BLANKS))


def odd_number(rng: random.Random, text: str) -> str:
    """Write a plain number in another way."""
    sign, digits = ("-", text[1:]) if text[0] == "-" else (rng.choice(("", "+")), text)
    if "." in digits:
        digits += rng.choice(("", "0" * rng.choice((1, 30))))
        if digits.startswith("0."):
            digits = digits[1:]
    else:
        digits += rng.choice(("", ".", ".0", ".000000000000000000000000"))
    return sign + ("" if digits.startswith(".") else rng.choice(("", "0", "0" * 40))) + digits


def odd_timestamp(rng: random.Random, moment: datetime) -> str:
    """Write a moment in any of the ways that a timestamp may be written in."""
    shift = rng.choice(ODD_OFFSETS)
    local = moment + timedelta(minutes=shift)
    day, clock = f"{local:%Y-%m-%d}", f"{local:%H:%M:%S}"
    if local.microsecond:
        clock += f".{local.microsecond:06}".rstrip("0")
        clock = rng.choice(
            (clock, clock + "0", f"{local:%H:%M:%S.%f}" + rng.choice(("999", "0001")))
        )
    elif rng.random() < 0.3:
        clock += rng.choice((".0", ".000000", ".000000000"))
    elif local.second == 0 and rng.random() < 0.5:
        clock = clock.removesuffix(":00")
        if clock == "00:00" and rng.random() < 0.3:
            day, clock = f"{local - timedelta(days=1):%Y-%m-%d}", "24:00"
    hours, minutes = divmod(abs(shift), 60)
    sign = "-" if shift < 0 else "+"
    offsets = [f"{sign}{hours:02}:{minutes:02}", f"{sign}{hours:02}{minutes:02}"]
    offsets += [f"{sign}{hours:02}"] if minutes == 0 else []
    offsets += ["", "Z", "-00:00"] if shift == 0 else []
    offset = rng.choice(offsets)
    if clock in ("00:00", "00:00:00") and not offset and rng.random() < 0.5:
        return day
    return day + rng.choice("T ") + clock + offset


# --- invalid values ---------------------------------------------------------------------------

NO_VALUES = (
    "NULL",
    "null",
    "none",
    "NA",
    "n/a",
    "nan",
    "true",
    "#REF!",
    "=1+1",
    "\\N",
    "?",
    "Maria V",
)


def bad_number(rng: random.Random, precision: int, scale: int) -> str:
    """Draw text that is not a plain number of a type."""
    n, m = rng.randint(1, 9999), rng.randint(0, 99)
    return rng.choice(
        (
            *NO_VALUES,
            *(f"{n},{m:02}", f"{n} {m:03}", f"{n}.{m}.{m}", f"{n}e{m}", f"{n}E-{m}", f"0x{n}"),
            *(f"--{n}", f"+-{n}", f"{n}-", f"({n})", f"{n}%", f"${n}", f"{n} EUR", f"{n}'000"),
            *(f"{n}_000", f"{n}/{m}", f'"{n}"', f"{n};", f"{n}d", f"- {n}", f"{n}\n{m}"),
            *(f"−{n}", f"{n}\u200b", f"\ufeff{n}", f"{n}\u00a0{m:03}", ".", "+", "-", "-.", "+."),
            *("१२", "１２", "٣", "½", "∞", "inf", "-Infinity", "🙂", "Ⅳ", "²"),
            *("1" + "0" * (precision - scale), "9" * 39, "-1" + "0" * (precision - scale) + ".5"),
            *(f"0.{'0' * scale}1", f"{n}.{'0' * scale}5", f".{'9' * (scale + 1)}"),
        )
    )


def bad_day(rng: random.Random) -> str:
    """Draw text that is neither a date nor a timestamp."""
    d, m = rng.randint(1, 28), rng.randint(1, 12)
    return rng.choice(
        (
            *NO_VALUES,
            *(f"{d}/{m}/2024", f"{d:02}.{m:02}.2024", f"{m:02}-{d:02}-2024", f"2024/{m:02}/{d:02}"),
            *(
                f"2024{m:02}{d:02}",
                f"2024-{m}-{d % 9}",
                f"24-{m:02}-{d:02}",
                f"2024-{m:02}",
                "2024",
            ),
            *(f"2024-W{d:02}-5", "2024-031", f"Jan {d}, 2024", f"{d} January 2024"),
            *("2023-02-29", "1900-02-29", "2024-02-30", "2024-04-31", "2024-13-01", "2024-00-10"),
            *(f"2024-{m:02}-00", f"2024-{m:02}-32", f"0000-{m:02}-{d:02}", f"-2024-{m:02}-{d:02}"),
            *(f"12024-{m:02}-{d:02}", f"+2024-{m:02}-{d:02}", f"2024-{m:02}-{d:02} (BC)"),
            *(f"2024‑{m:02}‑{d:02}", f"２０２４-{m:02}-{d:02}", f"2024-{m:02}-{d:02}\u200b"),
            *("1735689600", "1735689600000", "45688", "45688.5"),
            *("yesterday", "today", "now", "epoch", "infinity", "-infinity"),
        )
    )


def bad_timestamp(rng: random.Random) -> str:
    """Draw text that is not a timestamp."""
    day = f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    times = (
        *(
            "25:00",
            "24:30",
            "24:00:01",
            "23:60",
            "23:59:60",
            "8:00",
            "08",
            "0800",
            "080000",
            "08:0",
        ),
        *("08:00:00.", "08:00:00,5", "08:00:00:00", "08:00 PM", "08:00 UTC", "08:00 CET"),
        *("08:00+2", "08:00+2:00", "08:00+02:", "08:00+15:00", "08:00-99", "08:00+02:75"),
        *("08:00++02", "08:00+02:00:00", "08:00z", "08:00 +02:00", "08:00Z+02:00"),
    )
    return rng.choice(
        (
            bad_day(rng),
            bad_day(rng) + " 08:00",
            day + rng.choice("T ") + rng.choice(times),
            day + rng.choice(("Z", "+02:00", "T", "t08:00", "  08:00", "_08:00", "\n08:00")),
        )
    )


def bad_date(rng: random.Random) -> str:
    """Draw text that is not a date, such as a timestamp other than midnight."""
    day = f"2024-{rng.randint(1, 12):02}-{rng.randint(1, 28):02}"
    times = ("12:00", "00:00:01", "00:00Z", "00:00+00:00", "24:00", "00:00:00.000001")
    return rng.choice((bad_day(rng), bad_day(rng), f"{day} {rng.choice(times)}"))


WRONG: dict[str, tuple[str, Callable]] = {
    "signed_up_at_is_timestamp": ("signed_up_at", bad_timestamp),
    "ordered_at_is_timestamp": ("ordered_at", bad_timestamp),
    "responded_at_is_timestamp": ("responded_at", bad_timestamp),
    "rate_date_is_date": ("rate_date", bad_date),
    "started_on_is_date": ("started_on", bad_date),
    "ended_on_is_date": ("ended_on", bad_date),
    "amount_is_number": ("amount", lambda rng: bad_number(rng, 18, 4)),
    "refunded_amount_is_number": ("refunded_amount", lambda rng: bad_number(rng, 18, 4)),
    "monthly_amount_is_number": ("monthly_amount", lambda rng: bad_number(rng, 18, 4)),
    "rate_is_number": ("rate_to_reporting", lambda rng: bad_number(rng, 18, 10)),
    "score_is_number": ("score", lambda rng: bad_number(rng, 28, 18)),
    "scale_min_is_whole_number": ("scale_min", lambda rng: bad_number(rng, 10, 0)),
    "scale_max_is_whole_number": ("scale_max", lambda rng: bad_number(rng, 10, 0)),
}


# --- faults that suit a row ------------------------------------------------------------------


def suited(rng: random.Random, made: Mixture, fault: Fault, row: Row) -> dict | None:
    """The change by which a fault of the catalogue is one in this row, None where it can't be.

    Sometimes it is drawn again: other text that is not a number, another unknown id.
    """
    [rule, *_] = fault.rules
    if rule in WRONG and rng.random() < 0.7:
        column, draw = WRONG[rule]
        return {column: draw(rng)}
    if rule in SUITED:
        return SUITED[rule](rng, made, row, dict(fault.change))
    return dict(fault.change)


def _nps(rng, made, row, change):
    if "score" in change and "scale_max" not in change:
        change["score"] = rng.choice(("9.5", "11", "-1", "0.000000000000000001", "10.1", "1000"))
    return {"survey_type": "nps", "score": "9", "scale_min": "0", "scale_max": "10"} | change


def _csat(change_of: Callable) -> Callable:
    def change(rng, made, row, change):
        low, high = rng.choice(((1, 5), (0, 10), (-2, 2), (1, 7)))
        plain = {"scale_min": str(low), "scale_max": str(high), "score": str(high)}
        kind = rng.choice(("csat", "ces", "review"))
        return plain | {"survey_type": kind} | change_of(rng, low, high)

    return change


def _little(rng: random.Random, scale: int) -> Decimal:
    least = Decimal(1).scaleb(-scale)
    return rng.choice((least, least, least, Decimal(1), Decimal(1000)))


def _future(column: str) -> Callable:
    def change(rng, made, row, change):
        least = timedelta(microseconds=1)
        later = rng.choice((least, least, timedelta(seconds=1), timedelta(366), timedelta(27000)))
        return {column: odd_timestamp(rng, made.run.now + later)}

    return change


def _before_sign_up(column: str) -> Callable:
    def change(rng, made, row, change):
        signed_up = row.customer_signed_up_at
        if signed_up is None:
            return None
        least = timedelta(microseconds=1)
        earlier = rng.choice((least, least, timedelta(days=1), timedelta(days=400)))
        reporting = made.settings.get("reporting_currency", "EUR")
        money = {"currency_code": reporting} if "currency_code" in row.values else {}
        return {column: odd_timestamp(rng, signed_up - earlier)} | money

    return change


def _unknown_customer(rng, made, row, change):
    """Name a customer who is not there: nearly one, one of another source, or nobody."""
    if not change["customer_id"]:
        return change
    taken = made.inputs().customers
    ids = [id_ for _, id_ in taken if id_] or ["1"]
    own = rng.choice(ids)
    near = [own.swapcase(), f"0{own}", own.lstrip("0"), own + "\u200b", own + ".0", *ids, "nobody"]
    near = [one for one in near if one.strip() and (row.source, one.strip()) not in taken]
    return {"customer_id": rng.choice(near)} if near else None


def _without_rate(column: str) -> Callable:
    def change(rng, made, row, change):
        if column in change:
            reporting = made.settings.get("reporting_currency", "EUR")
            change = {column: "2020-01-01", "currency_code": "USD"}
            if reporting == "USD":
                change["currency_code"] = "EUR"
        elif not known(row[column]):
            return None
        return change

    return change


def _refund_above(rng, made, row, change):
    amount = row["amount"]
    if not known(amount) or amount < 0:
        return None
    more = amount + _little(rng, 4)
    return {"refunded_amount": str(more)} if more < 10**14 else None


def _ends_too_early(rng, made, row, change):
    if not known(row["started_on"]):
        return None
    return {"ended_on": str(row["started_on"] - timedelta(days=rng.choice((0, 0, 0, 1, 365))))}


def _word_but(column: str, *words: str) -> Callable:
    """Return a change to a word that is nearly a legal one."""

    def change(rng, made, row, change):
        word = rng.choice(words)
        near = (
            word.upper(),
            word.title(),
            word + "s",
            word[:-1],
            word + "\u200b",
            f"{word}, {word}",
        )
        return {column: rng.choice((*near, *change.values(), *ODD_WORDS))}

    return change


def _no_code(column: str, kind: str) -> Callable:
    def change(rng, made, row, change):
        code = "".join(rng.choices("ABCXYZabcxyz", k=rng.choice((1, 2, 2, 3))))
        code = rng.choice((code, *ODD_WORDS))
        return None if code in getattr(made.run, kind) else {column: code}

    return change


def _reserved(column: str) -> Callable:
    return lambda rng, made, row, change: {column: rng.choice(sorted(RESERVED))}


def _below_0(column: str) -> Callable:
    return lambda rng, made, row, change: change | {column: str(-_little(rng, 4))}


SUITED: dict[str, Callable] = {
    "signed_up_at_not_in_future": _future("signed_up_at"),
    "ordered_at_not_in_future": _future("ordered_at"),
    "responded_at_not_in_future": _future("responded_at"),
    "order_not_before_sign_up": _before_sign_up("ordered_at"),
    "answer_not_before_sign_up": _before_sign_up("responded_at"),
    "order_customer_is_known": _unknown_customer,
    "answer_customer_is_known": _unknown_customer,
    "subscription_customer_is_known": _unknown_customer,
    "order_has_rate": _without_rate("ordered_at"),
    "subscription_has_rate": _without_rate("started_on"),
    "amount_not_negative": _below_0("amount"),
    "refunded_amount_not_negative": _below_0("refunded_amount"),
    "monthly_amount_not_negative": _below_0("monthly_amount"),
    "refunded_amount_within_amount": _refund_above,
    "ended_on_after_started_on": _ends_too_early,
    "status_is_known": _word_but("status", "completed", "pending", "cancelled", "returned"),
    "survey_type_is_known": _word_but("survey_type", "nps", "csat", "ces", "review"),
    "country_code_is_iso": _no_code("country_code", "countries"),
    "customer_language_code_is_iso": _no_code("language_code", "languages"),
    "answer_language_code_is_iso": _no_code("language_code", "languages"),
    "acquisition_channel_not_reserved": _reserved("acquisition_channel"),
    "channel_not_reserved": _reserved("channel"),
    "nps_score_is_0_to_10": _nps,
    "nps_scale_starts_at_0": _nps,
    "nps_scale_ends_at_10": _nps,
    "score_not_below_scale": _csat(lambda rng, low, high: {"score": f"{low - _little(rng, 18):f}"}),
    "score_not_above_scale": _csat(
        lambda rng, low, high: {"score": f"{high + _little(rng, 18):f}"}
    ),
    "scale_ends_above_its_start": _csat(
        lambda rng, low, high: {"scale_max": str(low - rng.choice((0, 0, 1, 9)))}
    ),
}
"""By the first rule of a fault: how its change is made for a row."""


def action(fault: Fault) -> str:
    """What the first rule of a fault does."""
    return RULES[fault.input][fault.rules[0]][0]


def write(rng: random.Random, made: Mixture, fault: Fault, raw: dict) -> bool:
    """Write a fault into a row, and return whether it is a fault there."""
    row = made.row(raw)
    if fault.twice:
        rows = made.raw[fault.input]
        again = raw | {
            column: value.format((raw[column] or "").strip())
            for column, value in fault.change.items()
        }
        id_ = INPUTS[fault.input][0]
        again[id_] = rng.choice(BLANKS) + (again[id_] or "").strip() + rng.choice(BLANKS)
        if not row.id or ("rate_date" in raw and not known(row["rate_date"])):
            return False
        rows.insert(rng.randint(0, len(rows)), again)
    else:
        change = suited(rng, made, fault, row)
        if change is None:
            return False
        raw |= change
    row = made.row(raw)
    is_found = all(RULES[fault.input][rule][1](row) for rule in fault.rules)
    made.faults.append(Broken(fault, is_found))
    return True


# --- the kinds of mixtures -------------------------------------------------------------------


def _break_some(
    rng: random.Random, made: Mixture, actions: tuple[str, ...], number: int, rows=None
) -> None:
    """Write so many faults of some actions into rows that are drawn."""
    for _ in range(number):
        raw = rng.choice(rows) if rows else None
        _break_one(rng, made, actions, raw)


def _break_one(rng, made: Mixture, actions: tuple[str, ...], raw: dict | None, name=None) -> bool:
    """Write one fault of some actions: into a row of an input, else into any row of any."""
    faults = [one for one in FAULTS if action(one) in actions and one.input == (name or one.input)]
    for fault in rng.sample(faults, len(faults)):
        candidates = [raw] if raw is not None else made.raw[fault.input]
        if candidates and write(rng, made, fault, rng.choice(candidates)):
            return True
    return False


def _most(made: Mixture, name: str) -> int:
    share = Fraction(str(made.settings.get("max_quarantined_share", "0.01")))
    rows = len(made.raw[name])
    return max(int(share * rows), 1 if 1 <= rows < 100 else 0)


def _break_rows(rng: random.Random, made: Mixture, name: str, number: int) -> None:
    """Break so many rows of an input, some of them more than once."""
    for raw in rng.sample(made.raw[name], number):
        for _ in range(rng.choice((1, 1, 1, 2, 4))):
            _break_one(rng, made, ("quarantine",), raw, name)


def _break_few(rng: random.Random, made: Mixture) -> None:
    """Break no more rows than may be left out, at times of the busiest customer."""
    for name in QUARANTINED:
        most = min(_most(made, name), 12)
        _break_rows(rng, made, name, rng.randint(0, most))
    busy = [row["customer_id"] for row in made.raw["raw_orders"] + made.raw["raw_surveys"]]
    if rng.random() < 0.5 and _most(made, "raw_customers") == 1 and busy:
        made.raw["raw_customers"].sort(key=lambda row: busy.count(row["customer_id"]))
        [raw] = made.raw["raw_customers"][-1:]
        _break_one(rng, made, ("quarantine",), raw, "raw_customers")
    _break_some(rng, made, ("warn",), rng.randint(0, 3))


def _break_around_the_limit(rng: random.Random, made: Mixture, turn: int) -> None:
    """Break as many rows of an input as may be left out, or one less or more."""
    names = [name for name in QUARANTINED if made.raw[name]]
    for name in names:
        # A hundred rows, and one less, in the first ones of a run.
        size = rng.choice((0, 50, 98, 99, 100, 101, 199, 200, 201))
        if turn < len(LIMITS):
            size = 99 if name == "raw_orders" else 100
        _grow(rng, made, name, size)
    if not names:
        return
    tested = rng.choice(names)
    for name in names:
        more = rng.choice((-1, 0, 0, 1)) if name == tested else -rng.randint(0, 3)
        number = min(_most(made, name) + more, len(made.raw[name]))
        # The rows of a customer who is left out follow, and don't count.
        _break_rows(rng, made, name, max(number, 0))


def _grow(rng: random.Random, made: Mixture, name: str, rows: int) -> None:
    """Add clean rows: copies with ids of their own."""
    copies = list(made.raw[name])
    id_ = INPUTS[name][0]
    for number in range(rows - len(copies)):
        made.raw[name].append(rng.choice(copies) | {id_: f"copy {number}"})
    rng.shuffle(made.raw[name])


def _break_anything(rng: random.Random, made: Mixture, run: str, turn: int) -> None:
    """Write whatever there is: a fault of each rule into a row of its own, others anywhere."""
    firsts, others = _deck(run)
    for name in QUARANTINED:
        _grow(rng, made, name, ROWS_OF_ANY)
    for number in range(ROWS_OF_ANY):
        made.raw["raw_exchange_rates"].append(
            made.raw["raw_exchange_rates"][0]
            | {"currency_code": "SEK", "rate_date": f"2024-01-{number + 1:02}"}
        )
    favourites = {name: rng.sample(rows, 2) for name, rows in made.raw.items()}
    fresh = {
        name: [raw for raw in rows if raw not in favourites[name]]
        for name, rows in made.raw.items()
    }
    # The mixtures of a run share the faults out among themselves.
    for fault in others[turn % ANY_TURNS :: ANY_TURNS]:
        rows = rng.choice((favourites, made.raw))[fault.input]
        write(rng, made, fault, rng.choice(rows))
    for fault in firsts[turn % ANY_TURNS :: ANY_TURNS]:
        rows = fresh[fault.input]
        for raw in rng.sample(rows, len(rows)):
            if write(rng, made, fault, raw):
                fresh[fault.input] = [other for other in rows if other is not raw]
                break


def _deck(run: str) -> tuple[list[Fault], list[Fault]]:
    """Shuffle the catalogue: a fault for every rule, and the others."""
    faults = list(FAULTS)
    random.Random(run).shuffle(faults)
    firsts = list({fault.rules[0]: fault for fault in faults}.values())
    return firsts, [fault for fault in faults if fault not in firsts]


def _break_the_only_row(rng: random.Random, made: Mixture) -> None:
    """Let a source have one customer or one order only, and break that one."""
    name = rng.choice(("raw_customers", "raw_orders"))
    source = {"source_system": rng.choice(made.run.sources)}
    if not any("source_system" in row for rows in made.raw.values() for row in rows):
        source = {}

    def of_source(row: dict) -> bool:
        return row.get("source_system") == source.get("source_system")

    own = [row for row in made.raw[name] if of_source(row)]
    if not own:
        return
    only = rng.choice(own)
    dropped = [row for row in own if row is not only]
    made.raw[name] = [row for row in made.raw[name] if row not in dropped]
    if name == "raw_customers":
        for other in ("raw_orders", "raw_surveys", "raw_subscriptions"):
            for row in made.raw[other]:
                if of_source(row) and (row["customer_id"] or "").strip():
                    row["customer_id"] = only["customer_id"]
    if rng.random() < 0.8:
        _break_one(rng, made, ("quarantine",), only, name)
    _break_some(rng, made, ("quarantine", "warn"), rng.randint(0, 2))


def _lose_rows(rng: random.Random, made: Mixture, turn: int) -> None:
    """Let inputs have fewer rows than the published build had, or none."""
    share = rng.choice((Decimal("0.5"), Decimal("0.29"), Decimal(0)))
    # The first two turns break every rule there is on a whole input.
    lost = ("raw_customers", "raw_orders", *(None,) * 4)[turn % 6]
    if lost:
        made.raw[lost] = []
    before = {}
    for name, rows in made.raw.items():
        most = int(len(rows) / (1 - Fraction(share)))
        before[name] = (
            most + 1 if lost else rng.choice((0, len(rows), most, most + 1, 2 * most + 1))
        )
    more = {"max_shrinkage_share": share, "rows_before": before, "same_build": turn % 2 == 0}
    if lost:
        more["allow_empty_inputs"] = False
    made.run = replace(made.run, **more)
    if rng.random() < 0.5:
        _break_few(rng, made)
