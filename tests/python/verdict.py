"""What the gate must say of raw inputs, worked out again from the input contract in plain Python.

It shares no line with the suites, nor with the SQL of staging and quarantine. A rule is a line of
RULES: what it does, and what it is that breaks it. A value is read as its type says, and is None
where the field is empty and Wrong where the text is no value of the type.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction
from zoneinfo import ZoneInfo

from brute_force import DEFAULTS, Rates
from customer_loyalty.contract import INPUTS

RESERVED = {"all", "unknown", "anonymous"}
FOLLOWS = "customer_was_quarantined"


class Wrong(str):
    """Text that is not a value of its type."""


# --- the types of the contract ---------------------------------------------------------------


def decimal(precision: int, scale: int) -> Callable[[str], Decimal | Wrong]:
    """Return a reader of plain numbers; digits that the type can't hold are no number of it."""

    def read(text: str) -> Decimal | Wrong:
        if not re.fullmatch(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)", text):
            return Wrong(text)
        whole, _, rest = text.lstrip("+-").partition(".")
        most = precision - scale
        if len(whole.lstrip("0")) <= most and len(rest.rstrip("0")) <= scale:
            return Decimal(text)
        # As binary floating point is printed: rounded, where that changes next to nothing.
        if rest and len((whole + rest).lstrip("0")) >= 16:
            with localcontext(prec=100):
                number = Decimal(text)
                rounded = number.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP)
                is_same = abs(rounded - number) < abs(number) / 10**9
            if is_same and abs(rounded) < 10**most:
                return rounded
        return Wrong(text)

    return read


def integer(text: str) -> int | Wrong:
    """Read a whole number; 9.0 is 9."""
    read = decimal(9, 0)(text)
    return read if isinstance(read, Wrong) else int(read)


def calendar_date(text: str) -> date | Wrong:
    """Read a date; a time of midnight after it is ignored."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([ T]00:00(:00(\.0+)?)?)?", text):
        try:
            return date.fromisoformat(text[:10])
        except ValueError:
            pass
    return Wrong(text)


TIMESTAMP = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"(?:[ T]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]+))?)?"
    r"(Z|[+-][0-9]{2}(?::?[0-9]{2})?)?)?"
)


def timestamp(text: str, zone: tzinfo = UTC) -> datetime | Wrong:
    """Read a timestamp as UTC, without an offset. 24:00 is the end of the day.

    zone: where a date alone begins. Digits beyond microseconds are cut off.
    """
    found = TIMESTAMP.fullmatch(text)
    if not found:
        return Wrong(text)
    day, hours, minutes, seconds, fraction, offset = found.groups()
    hours, minutes, seconds = int(hours or 0), int(minutes or 0), int(seconds or 0)
    microseconds = int((fraction or "").ljust(6, "0")[:6])
    ends_the_day = (hours, minutes, seconds) == (24, 0, 0) and not int(fraction or "0")
    if not ends_the_day and (hours > 23 or minutes > 59 or seconds > 59):
        return Wrong(text)
    shift = timedelta(0)
    if offset not in (None, "Z"):
        digits = offset[1:].replace(":", "").ljust(4, "0")
        shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        if int(digits[:2]) > 14 or int(digits[2:]) > 59:
            return Wrong(text)
        shift = -shift if offset[0] == "-" else shift
    try:
        of_day = timedelta(hours=hours, minutes=minutes, seconds=seconds, microseconds=microseconds)
        if len(text) == 10 and text > "0001-01-01":
            begins = datetime.fromisoformat(day).replace(tzinfo=zone)
            return begins.astimezone(UTC).replace(tzinfo=None)
        return datetime.fromisoformat(day) + of_day - shift
    except (ValueError, OverflowError):
        return Wrong(text)


READERS: dict[str, Callable] = {
    **dict.fromkeys(("signed_up_at", "ordered_at", "responded_at"), timestamp),
    **dict.fromkeys(("rate_date", "started_on", "ended_on"), calendar_date),
    **dict.fromkeys(("amount", "refunded_amount", "monthly_amount"), decimal(18, 4)),
    **dict.fromkeys(("scale_min", "scale_max"), integer),
    "rate_to_reporting": decimal(18, 10),
    "score": decimal(28, 18),
}
"""How a column is read; one that is not here is text."""


# --- rows ------------------------------------------------------------------------------------


@dataclass(eq=False)
class Row:
    """A row of an input: where it came from, its values, and all the inputs that it is part of."""

    input: str
    source: str
    file: str
    number: int
    raw: dict
    values: dict
    all: Inputs

    def __getitem__(self, column: str):
        return self.values[column]

    @property
    def place(self) -> tuple[str, int]:
        """The file and the row in it, which is how a person finds it."""
        return self.file, self.number

    @property
    def id(self) -> str | None:
        """The row's own id: that of its first column."""
        return self.values[INPUTS[self.input][0]]

    @property
    def customer(self) -> list[Row]:
        """The rows of the customer that this row names: none where nobody is called so."""
        return self.all.customers[self.source, self["customer_id"]] if self["customer_id"] else []

    @property
    def customer_signed_up_at(self) -> datetime | None:
        """When its customer signed up; the latest time where they are there twice."""
        moments = [one["signed_up_at"] for one in self.customer]
        return max((one for one in moments if isinstance(one, datetime)), default=None)

    def local_day(self, column: str) -> date | None:
        """The calendar date of a timestamp in the reporting time zone."""
        moment = self[column]
        if not isinstance(moment, datetime):
            return None
        if len(text := self.raw[column].strip()) == 10:
            return date.fromisoformat(text)
        return moment.replace(tzinfo=UTC).astimezone(self.all.zone).date()

    def lacks_rate(self, day: date | Wrong | None) -> bool:
        """Tell whether its currency has no exchange rate on or before a day."""
        if not self["currency_code"] or day is None or isinstance(day, Wrong):
            return False
        return self.all.rates.on(self.source, self["currency_code"], day) is None

    def plain(self) -> dict:
        """The row as text again, every value written in the plainest way."""
        texts = {
            column: ""
            if value is None
            else f"{value:f}"
            if isinstance(value, Decimal)
            else str(value)
            for column, value in self.values.items()
        }
        return texts | {"source_system": self.source}


class Inputs:
    """All rows of all inputs, read, and what the rules need to know beside them."""

    def __init__(self, raw: dict[str, list[dict]], settings: dict, run):
        options = DEFAULTS | settings
        self.run = run
        self.zone = ZoneInfo(options["reporting_time_zone"])
        self.rows = {name: self._read(name, raw.get(name) or []) for name in INPUTS}
        self.customers = defaultdict(list)
        for row in self.rows["raw_customers"]:
            self.customers[row.source, row["customer_id"]].append(row)
        # What is no rate of a day and a currency is a fault of its own, and no rate of any order.
        usable = [row for row in self.rows["raw_exchange_rates"] if is_rate(row)]
        self.rates = Rates([row.plain() for row in usable], options)
        self.times = Counter(map(key, self.every_row()))

    def _read(self, name: str, rows: list[dict]) -> list[Row]:
        numbers = Counter()
        read = []
        for raw in rows:
            source = raw.get("source_system") or "files"
            numbers[source] += 1
            file = f"seeds/{name}.csv" if source == "demo" else f"{name}.csv"
            values = {
                column: self._value(column, (raw.get(column) or "").strip())
                for column in INPUTS[name]
            }
            # The header is row 1.
            read.append(Row(name, source, file, numbers[source] + 1, raw, values, self))
        return read

    def _value(self, column: str, text: str):
        if not text:
            return None
        reader = READERS.get(column)
        if reader is timestamp:
            return timestamp(text, self.zone)
        return reader(text) if reader else text

    def every_row(self) -> list[Row]:
        """Return the rows of all inputs."""
        return [row for rows in self.rows.values() for row in rows]


def key(row: Row) -> tuple:
    """Return what no two rows of an input may share."""
    own = (
        (row["currency_code"], row["rate_date"]) if row.input == "raw_exchange_rates" else (row.id,)
    )
    return row.input, row.source, *own


def is_rate(row: Row) -> bool:
    """Tell whether a row of exchange rates can be looked up at all."""
    return all(known(value) for value in row.values.values())


# --- the rules -------------------------------------------------------------------------------


def known(value) -> bool:
    """Tell whether there is a value, and one of its type."""
    return value is not None and not isinstance(value, Wrong)


def empty(column: str) -> Callable[[Row], bool]:
    """Return a rule that an empty field breaks."""
    return lambda row: row[column] is None


def wrong(column: str) -> Callable[[Row], bool]:
    """Return a rule that text breaks if it is not a value of its type."""
    return lambda row: isinstance(row[column], Wrong)


def where(*columns: str) -> Callable:
    """Return what makes a rule of a test on values: where one is missing it is another's fault."""

    def make(test: Callable[..., bool]) -> Callable[[Row], bool]:
        return lambda row: (
            all(known(row[one]) for one in columns) and test(*(row[one] for one in columns))
        )

    return make


def among(column: str, words: set[str]) -> Callable[[Row], bool]:
    """Return a rule that certain words break."""
    return where(column)(lambda value: value in words)


def not_among(column: str, words: set[str]) -> Callable[[Row], bool]:
    """Return a rule that all but certain words break."""
    return where(column)(lambda value: value not in words)


def twice(row: Row) -> bool:
    """Tell whether a row is there more than once."""
    return all(map(known, key(row))) and row.all.times[key(row)] > 1


def in_future(column: str) -> Callable[[Row], bool]:
    """Return a rule that a time after the clock of the run breaks."""
    return lambda row: known(row[column]) and row[column] > row.all.run.now


def before_sign_up(column: str) -> Callable[[Row], bool]:
    """Return a rule that a time before the sign-up of the row's customer breaks."""

    def breaks(row: Row) -> bool:
        signed_up = row.customer_signed_up_at
        return known(row[column]) and signed_up is not None and row[column] < signed_up

    return breaks


def is_nps(row: Row) -> bool:
    """Tell whether a row answers the NPS question."""
    return row["survey_type"] == "nps"


def off_scale(test: Callable) -> Callable[[Row], bool]:
    """Return a rule on the scores of all scales but that of NPS."""
    return lambda row: row["survey_type"] is not None and not is_nps(row) and test(row)


def of_nps(test: Callable) -> Callable[[Row], bool]:
    """Return a rule on NPS answers."""
    return lambda row: is_nps(row) and test(row)


RULES: dict[str, dict[str, tuple[str, Callable[[Row], bool]]]] = {
    "raw_customers": {
        "customer_id_not_empty": ("stop", empty("customer_id")),
        "customer_id_unique": ("stop", twice),
        "signed_up_at_is_timestamp": ("quarantine", wrong("signed_up_at")),
        "signed_up_at_not_empty": ("quarantine", empty("signed_up_at")),
        "signed_up_at_not_in_future": ("quarantine", in_future("signed_up_at")),
        "country_code_is_iso": (
            "warn",
            lambda row: (
                row["country_code"] is not None and row["country_code"] not in row.all.run.countries
            ),
        ),
        "customer_language_code_is_iso": (
            "warn",
            lambda row: (
                row["language_code"] is not None
                and row["language_code"] not in row.all.run.languages
            ),
        ),
        "country_code_not_reserved": ("warn", among("country_code", RESERVED)),
        "customer_language_code_not_reserved": ("warn", among("language_code", RESERVED)),
        "acquisition_channel_not_reserved": ("warn", among("acquisition_channel", RESERVED)),
    },
    "raw_orders": {
        "order_id_not_empty": ("stop", empty("order_id")),
        "order_id_unique": ("stop", twice),
        "order_customer_is_known": ("quarantine", lambda row: not row.customer),
        "ordered_at_is_timestamp": ("quarantine", wrong("ordered_at")),
        "ordered_at_not_empty": ("quarantine", empty("ordered_at")),
        "ordered_at_not_in_future": ("quarantine", in_future("ordered_at")),
        "order_not_before_sign_up": ("warn", before_sign_up("ordered_at")),
        "status_not_empty": ("quarantine", empty("status")),
        "status_is_known": (
            "quarantine",
            not_among("status", {"completed", "pending", "cancelled", "returned"}),
        ),
        "order_currency_code_not_empty": ("stop", empty("currency_code")),
        "order_has_rate": ("stop", lambda row: row.lacks_rate(row.local_day("ordered_at"))),
        "amount_is_number": ("quarantine", wrong("amount")),
        "amount_not_empty": ("quarantine", empty("amount")),
        "amount_not_negative": ("quarantine", where("amount")(lambda amount: amount < 0)),
        "refunded_amount_is_number": ("quarantine", wrong("refunded_amount")),
        "refunded_amount_not_negative": (
            "quarantine",
            where("refunded_amount")(lambda refunded: refunded < 0),
        ),
        "refunded_amount_within_amount": (
            "quarantine",
            where("amount", "refunded_amount")(lambda amount, refunded: 0 <= amount < refunded),
        ),
    },
    "raw_surveys": {
        "response_id_not_empty": ("stop", empty("response_id")),
        "response_id_unique": ("stop", twice),
        "answer_customer_is_known": (
            "quarantine",
            lambda row: row["customer_id"] is not None and not row.customer,
        ),
        "survey_type_not_empty": ("quarantine", empty("survey_type")),
        "survey_type_is_known": (
            "quarantine",
            not_among("survey_type", {"nps", "csat", "ces", "review"}),
        ),
        "responded_at_is_timestamp": ("quarantine", wrong("responded_at")),
        "responded_at_not_empty": ("quarantine", empty("responded_at")),
        "responded_at_not_in_future": ("quarantine", in_future("responded_at")),
        "answer_not_before_sign_up": ("warn", before_sign_up("responded_at")),
        "score_is_number": ("quarantine", wrong("score")),
        "score_not_empty": ("quarantine", empty("score")),
        "nps_score_is_0_to_10": (
            "quarantine",
            of_nps(where("score")(lambda score: score % 1 != 0 or not 0 <= score <= 10)),
        ),
        "score_not_below_scale": (
            "quarantine",
            off_scale(where("score", "scale_min")(lambda score, low: score < low)),
        ),
        "score_not_above_scale": (
            "quarantine",
            off_scale(where("score", "scale_max")(lambda score, high: score > high)),
        ),
        "scale_min_is_whole_number": ("quarantine", wrong("scale_min")),
        "scale_min_not_empty": ("quarantine", empty("scale_min")),
        "scale_max_is_whole_number": ("quarantine", wrong("scale_max")),
        "scale_max_not_empty": ("quarantine", empty("scale_max")),
        "scale_ends_above_its_start": (
            "quarantine",
            where("scale_min", "scale_max")(lambda low, high: low >= high),
        ),
        "nps_scale_starts_at_0": ("quarantine", of_nps(where("scale_min")(lambda low: low != 0))),
        "nps_scale_ends_at_10": ("quarantine", of_nps(where("scale_max")(lambda high: high != 10))),
        "answer_language_code_is_iso": (
            "warn",
            lambda row: (
                row["language_code"] is not None
                and row["language_code"] not in row.all.run.languages
            ),
        ),
        "answer_language_code_not_reserved": ("warn", among("language_code", RESERVED)),
        "channel_not_reserved": ("warn", among("channel", RESERVED)),
    },
    "raw_exchange_rates": {
        "rate_currency_code_not_empty": ("stop", empty("currency_code")),
        "rate_date_is_date": ("stop", wrong("rate_date")),
        "rate_date_not_empty": ("stop", empty("rate_date")),
        "rate_is_number": ("stop", wrong("rate_to_reporting")),
        "rate_not_empty": ("stop", empty("rate_to_reporting")),
        "rate_above_0": ("stop", where("rate_to_reporting")(lambda rate: rate <= 0)),
        "rate_unique": ("stop", twice),
    },
    "raw_subscriptions": {
        "subscription_id_not_empty": ("stop", empty("subscription_id")),
        "subscription_id_unique": ("stop", twice),
        "subscription_customer_is_known": ("quarantine", lambda row: not row.customer),
        "started_on_is_date": ("quarantine", wrong("started_on")),
        "started_on_not_empty": ("quarantine", empty("started_on")),
        "ended_on_is_date": ("quarantine", wrong("ended_on")),
        "ended_on_after_started_on": (
            "quarantine",
            where("started_on", "ended_on")(lambda started, ended: ended <= started),
        ),
        "monthly_amount_is_number": ("quarantine", wrong("monthly_amount")),
        "monthly_amount_not_empty": ("quarantine", empty("monthly_amount")),
        "monthly_amount_not_negative": (
            "quarantine",
            where("monthly_amount")(lambda amount: amount < 0),
        ),
        "subscription_currency_code_not_empty": ("stop", empty("currency_code")),
        "subscription_has_rate": ("stop", lambda row: row.lacks_rate(row["started_on"])),
    },
}
"""The rules on rows: by the input and the rule's name what it does, and what breaks it."""

NAMES = {
    "raw_customers": "customers",
    "raw_orders": "orders",
    "raw_surveys": "answers",
    "raw_exchange_rates": "rates",
    "raw_subscriptions": "subscriptions",
}


def whole_rules(name: str, rows: list[Row], run, before: int) -> dict[str, tuple[str, bool]]:
    """Return the rules on a whole input, by name: what each does, and whether it is broken.

    before: how many rows the published build had.
    """
    required = name in ("raw_customers", "raw_orders")
    sources = set() if run.allow_empty_inputs or not required else set(run.sources)
    shrunk = len(rows) < (1 - Fraction(run.max_shrinkage_share)) * before
    found = {
        f"{NAMES[name]}_not_empty": ("stop", not sources <= {row.source for row in rows}),
        f"{NAMES[name]}_not_shrunk": ("stop", shrunk and run.same_build),
        f"{NAMES[name]}_not_shrunk_beside_another_build": ("warn", shrunk and not run.same_build),
    }
    if not required:
        del found[f"{NAMES[name]}_not_empty"]
    return found


# --- the verdict -----------------------------------------------------------------------------


@dataclass
class Rule:
    """The expected results of one rule.

    left_broken, left_rows: the same of what the quarantine left, None where it left all.
    """

    input: str
    action: str
    broken: bool
    rows: list[Row] = field(default_factory=list)
    left_broken: bool | None = None
    left_rows: int | None = None


@dataclass
class Verdict:
    """The expected results of raw inputs.

    left_out: each row that is left out with its reasons. refused: the rules that the refusal names,
    none where the gate is open. too_many: inputs that lose more than they may.
    """

    inputs: Inputs
    rules: dict[str, Rule]
    left_out: dict[Row, list[str]]
    most: dict[str, int]
    too_many: set[str]
    refused: set[str]

    def own_reasons(self, name: str) -> list[Row]:
        """The rows of an input that count against the share: followers don't."""
        return [row for row in self.left_out_of(name) if self.left_out[row] != [FOLLOWS]]

    def left_out_of(self, name: str) -> list[Row]:
        """The rows of an input that are left out."""
        return [row for row in self.inputs.rows[name] if row in self.left_out]

    def used(self, name: str) -> list[Row]:
        """The rows of an input that the metrics read."""
        return [row for row in self.inputs.rows[name] if row not in self.left_out]


def verdict(raw: dict[str, list[dict]], settings: dict, run) -> Verdict:
    """Check raw inputs. run: a gate.Run, only for the settings of the run."""
    inputs = Inputs(raw, settings, run)
    rules, left_out = {}, {}
    for name, rows in inputs.rows.items():
        for rule, (action, breaks) in RULES[name].items():
            broken = sorted(filter(breaks, rows), key=lambda row: row.place)
            if action == "quarantine" and not run.strict:
                for row in broken:
                    left_out.setdefault(row, []).append(rule)
            action = "stop" if action == "quarantine" and run.strict else action
            rules[rule] = Rule(name, action, bool(broken), broken)
        whole = whole_rules(name, rows, run, run.rows_before.get(name, 0))
        rules |= {rule: Rule(name, *found) for rule, found in whole.items()}

    gone = {(row.source, row.id) for row in left_out if row.input == "raw_customers" and row.id}
    for row in inputs.every_row():
        left_out.setdefault(row, []).sort()
        if row.input != "raw_customers" and (row.source, row.values.get("customer_id")) in gone:
            left_out[row].append(FOLLOWS)
    left_out = {row: reasons for row, reasons in left_out.items() if reasons}

    found = Verdict(inputs, rules, left_out, {}, set(), set())
    share = Fraction(str(settings.get("max_quarantined_share", "0.01")))
    for name, rows in inputs.rows.items():
        found.most[name] = max(int(share * len(rows)), 1 if 1 <= len(rows) < 100 else 0)
        if len(found.own_reasons(name)) > found.most[name]:
            found.too_many.add(name)
        if found.left_out_of(name):
            _check_what_is_left(found, name)
    found.refused = {name for name, rule in rules.items() if _refuses(rule, found)}
    return found


def _check_what_is_left(found: Verdict, name: str) -> None:
    used = set(found.used(name))
    # The rows of the published build are compared with delivered rows, not with remaining ones.
    whole = whole_rules(name, list(used), found.inputs.run, before=0)
    # Ids that appear twice in the remaining rows did so before.
    times = Counter(map(key, used))
    for rule, one in found.rules.items():
        if one.input != name:
            continue
        if rule in whole:
            one.left_broken, one.left_rows = whole[rule][1], 0
            continue
        left = [row for row in one.rows if row in used]
        if RULES[name][rule][1] is twice:
            left = [row for row in left if times[key(row)] > 1]
        one.left_broken, one.left_rows = bool(left), len(left)


def _refuses(rule: Rule, found: Verdict) -> bool:
    if rule.action == "warn":
        return False
    stops = rule.action == "stop" or rule.input in found.too_many
    return (rule.broken and stops) or bool(rule.left_broken)
