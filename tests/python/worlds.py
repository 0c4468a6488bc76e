"""Small random worlds that aim at the edges of the metric contract.

A world is a set of clean raw inputs: what the gate lets pass under the settings it was made for.
Every row is decided by a few random bytes, one byte a choice, and each choice lists its plainest
option first. Drawing a world is therefore fast, and a failing one shrinks row by row, and byte by
byte, towards plain rows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import strategies as st

ONE_DAY = timedelta(days=1)
# Local orders, answers and sign-ups stay inside, so that none is in the future anywhere on earth.
EARLIEST, LATEST = date(2021, 1, 3), date(2025, 12, 28)
# A contract may have an agreed end.
LATEST_END = date(2026, 5, 31)

CURRENCIES = ("EUR", "USD", "JPY", "GBP")
TIME_ZONES = ("UTC", "America/New_York", "Asia/Tokyo", "Europe/Bucharest", "Pacific/Auckland")
DIMENSIONS = ("country", "language", "acquisition_channel", "source_system")
# Twins that differ by leading zeros, case or accent alone, and a word that is not an empty value.
CUSTOMER_IDS = ("1", "42", "042", "0042", "10", "9", "A", "a", "ä", "NA", "x y", "c-1")
COUNTRIES = ("DE", "", "US", None, "NA", "XX", "de", " FR ", "unknown")
LANGUAGES = ("de", "", "en", None, "xx", " fr ")
ACQUISITION_CHANNELS = (
    "ads",
    "",
    "organic search",
    None,
    "Übung ☕",
    "null",
    "all",
    "unknown",
    " ",
)
SURVEY_CHANNELS = ("email", "", "in_app", None, "電話", " email ", "anonymous", "none")
SCALES = ((1, 5), (1, 4), (0, 10), (1, 7), (1, 10), (-2, 2))
AMOUNTS = (
    "10.00",
    "19.99",
    "0",
    "0.0001",
    "100",
    "33.3333",
    "1234.5",
    "10.0",
    "98765432109876.5432",
)
MONTHLY_AMOUNTS = ("10.00", "20", "0", "29.90", "10", "33.3333", "0.00")
RATES = ("2", "1.0823456789", "0.0062", "0.5", "149.3512345678", "1", "0.9187")
COMMENTS = ("", None, 'fine, "thanks"', "two\nlines", "naïve ☕")
NAMES = ("", None, "Ada O'Neil", "Müller, Jürgen", '"Q"')

FIRST_MOMENT = (
    time(12),
    time(0),
    time(23, 59, 59),
    time(0, 1),
    time(23, 59),
    time(23, 59, 59, 999999),
)
OFFSETS = ("", "Z", "+02:00", "+0200", "+02", "-05:00", "+05:30", "-0930", "+13:00")

# The days around which mistakes of a day show: ends of months, quarters, years and ISO weeks (two
# of which lie across a new year), a leap day, the days on which clocks are put forward and back.
EDGES = (
    date(2024, 3, 1),
    date(2024, 2, 29),
    date(2024, 1, 1),
    date(2023, 12, 31),
    date(2024, 1, 31),
    date(2024, 3, 31),
    date(2024, 4, 1),
    date(2024, 6, 30),
    date(2024, 7, 1),
    date(2024, 12, 29),
    date(2024, 12, 30),
    date(2025, 1, 1),
    date(2023, 1, 1),
    date(2023, 2, 28),
    date(2024, 3, 10),
    date(2024, 10, 27),
)
FAR_EDGES = (
    date(2021, 1, 3),
    date(2021, 1, 4),
    date(2021, 12, 31),
    date(2022, 1, 2),
    date(2022, 9, 30),
    date(2025, 6, 1),
    date(2025, 12, 28),
)


def settings() -> st.SearchStrategy[dict]:
    """Draw settings: every var of the metric contract that changes a number, or its default."""
    dimensions = st.sampled_from(
        [list(DIMENSIONS), [], *([one] for one in DIMENSIONS), ["source_system", "country"]]
    )
    grains = st.sampled_from(
        [
            ["month"],
            ["week"],
            ["quarter"],
            ["year"],
            ["month", "quarter", "year"],
            ["week", "month", "quarter", "year"],
        ]
    )
    as_of_dates = [None, *EDGES, date(2025, 12, 31), date(2026, 2, 1), date(2019, 5, 5)]
    return st.fixed_dictionaries(
        {},
        optional={
            "as_of_date": st.sampled_from([day and day.isoformat() for day in as_of_dates]),
            "reporting_currency": st.sampled_from(CURRENCIES[:3]),
            "reporting_time_zone": st.sampled_from(TIME_ZONES),
            "activity_window_days": st.sampled_from([30, 1, 7, 90, 400]),
            "period_grains": grains,
            "fiscal_year_start_month": st.integers(1, 12),
            "segment_dimensions": dimensions,
            "nps_responses": st.sampled_from(["all", "latest_per_customer"]),
            "csat_satisfied_share": st.sampled_from([0.75, 0.5, 0.7, 0.8, 1, 2 / 3]),
            "csat_satisfied_from": st.sampled_from(
                [{}, {"1-4": 3}, {"-2-2": 1, "1-5": 3}, {"1-7": 5.5, "0-10": 7}, {"1-10": 10}]
            ),
            "ces_easy_share": st.sampled_from([0.66, 0.5, 0.7, 1, 2 / 3]),
            "cltv_window_days": st.sampled_from([365, 1, 30, 1000]),
            "minimum_responses": st.sampled_from([5, 1, 2]),
            "allow_empty_inputs": st.booleans(),
        },
    )


def cases() -> st.SearchStrategy[tuple[dict, dict]]:
    """Draw settings with a world that was made for them: (raw inputs, settings)."""
    return settings().flatmap(lambda chosen: st.tuples(worlds(chosen), st.just(chosen)))


@st.composite
def worlds(draw: st.DrawFn, settings: dict | None = None) -> dict[str, list[dict]]:
    """Draw clean raw inputs: input name -> rows of text, as they stand in CSV files.

    Where rows have a source_system there are two source systems with the same ids; else there is
    one that is not named. An optional input may be missing altogether.
    """
    first = draw(st.binary(min_size=10, max_size=10))
    return _made(settings or {}, first, lambda *size: draw(_rows(*size)))


def random_world(rng: random.Random, settings: dict) -> dict[str, list[dict]]:
    """Draw one of these worlds without Hypothesis."""

    def rows(width: int, most: int, least: int = 0) -> list[bytes]:
        return [rng.randbytes(width) for _ in range(rng.randint(least, most))]

    return _made(settings, rng.randbytes(10), rows)


def _made(settings: dict, first: bytes, rows: Callable[..., list[bytes]]) -> dict[str, list[dict]]:
    maker = _Maker(settings, _Dice(first))
    least = 0 if maker.settings.get("allow_empty_inputs") else 1
    maker.add_customers(rows(10, 12, least))
    maker.add_orders(rows(16, 40, least), least)
    maker.add_answers(rows(22, 25))
    maker.add_subscriptions(rows(10, 8))
    maker.add_rates(rows(6, 8))
    return maker.raw()


def _rows(width: int, most: int, least: int = 0) -> st.SearchStrategy[list[bytes]]:
    """Draw the bytes that decide an input's rows; lists alone would hardly ever be long."""
    row = st.binary(min_size=width, max_size=width)
    few = st.lists(row, min_size=least, max_size=most)
    return few | st.lists(row, min_size=max(least, most // 3), max_size=most)


class _Dice:
    """Bytes turned into choices, the plainest first."""

    def __init__(self, numbers: bytes):
        self.numbers = iter(numbers)

    def pick(self, options):
        """Choose one of the options."""
        return options[next(self.numbers, 0) % len(options)]

    def chance(self, one_in: int) -> bool:
        """Tell whether something rare happens."""
        return next(self.numbers, 0) % one_in == one_in - 1


class _Maker:
    """Builds a world row by row, each row aware of those before it."""

    def __init__(self, settings: dict, dice: _Dice):
        self.settings = settings
        self.zone = ZoneInfo(settings.get("reporting_time_zone", "UTC"))
        self.reporting = settings.get("reporting_currency", "EUR")
        self.window = settings.get("activity_window_days", 90)
        self.sources = ("demo", "files") if dice.chance(3) else (None,)
        self.currencies = dice.pick(((self.reporting,), CURRENCIES[:2], CURRENCIES))
        self.dropped = {
            name
            for name in ("raw_surveys", "raw_subscriptions", "raw_exchange_rates")
            if dice.chance(6)
        }
        self.days = self._days_to_aim_at(dice)
        self.customers, self.orders, self.answers = [], [], []
        self.subscriptions, self.rates = [], []
        self.order_days, self.terms = {}, {}
        self.first_needed, self.needed = {}, []

    def _days_to_aim_at(self, dice: _Dice) -> tuple[date, ...]:
        edges = [*EDGES[: dice.pick((4, 16))], *(FAR_EDGES if dice.chance(4) else ())]
        given = self.settings.get("as_of_date")
        if given:
            as_of = date.fromisoformat(given)
            lookback = self.settings.get("cltv_window_days", 365)
            edges += [as_of, as_of - timedelta(days=self.window), as_of - timedelta(days=lookback)]
        around = [day + offset * ONE_DAY for day in edges for offset in (0, -1, 1)]
        return tuple(day for day in around if EARLIEST <= day <= LATEST) or EDGES

    # --- customers and orders ---

    def add_customers(self, rows: list[bytes]) -> None:
        if len(rows) < len(self.sources):
            self.sources = (None,)
        for number, row in enumerate(rows):
            dice = _Dice(row)
            # Each source system numbers its customers alike, so that the same ids meet.
            source = self.sources[number % len(self.sources)]
            id_ = CUSTOMER_IDS[number // len(self.sources)]
            moment, _ = self._moment(dice, dice.pick(self.days))
            self.customers.append(
                self._from(source)
                | {
                    "customer_id": _padded(dice, id_),
                    "signed_up_at": moment,
                    "email": dice.pick(("", None, "a@example.org")),
                    "full_name": dice.pick(NAMES),
                    "country_code": dice.pick(COUNTRIES),
                    "language_code": dice.pick(LANGUAGES),
                    "acquisition_channel": dice.pick(ACQUISITION_CHANNELS),
                }
            )

    def add_orders(self, rows: list[bytes], least: int) -> None:
        if not self.customers:
            return
        # Every source system must have an order where empty inputs are not allowed.
        fixed = self.customers[: len(self.sources)] if least else []
        rows = rows + [b""] * (len(fixed) - len(rows))
        for number, row in enumerate(rows):
            dice = _Dice(row)
            owner = dice.pick(self.customers)
            self._add_order(dice, number + 1, fixed[number] if number < len(fixed) else owner)

    def _add_order(self, dice: _Dice, number: int, owner: dict) -> None:
        earlier = self.order_days.setdefault(_key(owner), [])
        day = dice.pick(self.days)
        if earlier and not dice.chance(3):
            w = self.window
            gap = dice.pick((w, w - 1, w + 1, 0, 1, 2 * w, -w))
            day = _within(dice.pick(earlier) + gap * ONE_DAY) or day
        moment, day = self._moment(dice, day)
        earlier.append(day)
        currency = dice.pick(self.currencies)
        self._needs_rate(owner, currency, day)
        amount = dice.pick(AMOUNTS) if dice.chance(2) else AMOUNTS[dice.pick((0, 1, 4))]
        refund = dice.pick(("", "", "0", "part", "all", None))
        if refund == "part":
            refund = f"{Decimal(amount) / 2:.4f}" if Decimal(amount) >= 1 else ""
        elif refund == "all":
            refund = f"{Decimal(amount):.4f}"
        self.orders.append(
            self._from(owner.get("source_system"))
            | {
                "order_id": _padded(dice, dice.pick(("", "0", "o-")) + str(number)),
                "customer_id": _padded(dice, owner["customer_id"].strip()),
                "ordered_at": moment,
                "status": dice.pick(
                    ("completed",) * 9 + ("pending", "cancelled", "returned", " completed ")
                ),
                "currency_code": _padded(dice, currency),
                "amount": amount,
                "refunded_amount": refund,
            }
        )

    # --- answers ---

    def add_answers(self, rows: list[bytes]) -> None:
        last = None
        sources = {one.get("source_system") for one in self.customers} or set(self.sources[:1])
        # Numbered from 8, so that '9' and '10' stand beside each other.
        for number, row in enumerate(rows, start=8):
            dice = _Dice(row)
            kind = dice.pick(("nps", "csat", "ces", "review"))
            owner = dice.pick((*self.customers, None, None))
            source = owner.get("source_system") if owner else dice.pick(sorted(sources, key=str))
            moment, day = self._moment(dice, dice.pick(self.days))
            if last and dice.chance(2):
                kind, owner, source, day, moment = last
                if dice.chance(2):
                    # On the same day, at another time of it.
                    moment, day = self._moment(dice, day)
            last = (kind, owner, source, day, moment)
            low, high = (0, 10) if kind == "nps" else dice.pick(SCALES)
            named = owner["customer_id"] if owner else dice.pick(("", None, " "))
            self.answers.append(
                self._from(source)
                | {
                    "response_id": _padded(dice, dice.pick(("", "", "0")) + str(number)),
                    "customer_id": named,
                    "survey_type": kind,
                    "responded_at": moment,
                    "score": self._score(dice, kind, low, high),
                    "scale_min": str(low),
                    "scale_max": str(high),
                    "channel": dice.pick(SURVEY_CHANNELS),
                    "language_code": dice.pick(("", *LANGUAGES)),
                    "comment": dice.pick(COMMENTS),
                }
            )

    def _score(self, dice: _Dice, kind: str, low: int, high: int) -> str:
        if kind == "nps":
            return dice.pick(("9", "9.0", "8", "7", "6", "10", "0", "6.0", "10.0", "3", "10", "9"))
        span = high - low
        limit = self.settings.get("csat_satisfied_from", {}).get(f"{low}-{high}")
        if kind == "ces":
            limit = low + Decimal(str(self.settings.get("ces_easy_share", 0.66))) * span
        elif limit is None:
            limit = low + Decimal(str(self.settings.get("csat_satisfied_share", 0.75))) * span
        limit = Decimal(str(limit))
        close_by = dice.pick((limit, limit - Decimal("0.01"), limit + Decimal("0.01")))
        plain = Decimal(dice.pick(range(low, high + 1)))
        return dice.pick(
            (
                str(plain),
                str(min(close_by, Decimal(high))),
                f"{plain:.1f}",
                str(high),
                str(low),
                str(min(plain + Decimal("0.4"), Decimal(high))),
            )
        )

    # --- subscriptions ---

    def add_subscriptions(self, rows: list[bytes]) -> None:
        if not self.customers:
            return
        for number, row in enumerate(rows, start=1):
            dice = _Dice(row)
            # Few customers, so that several contracts meet on one.
            owner = self.customers[dice.pick(range(len(self.customers))) // 2]
            start = self._start(dice, owner)
            length = dice.pick((None, 31, 1, 30, 90, self.window, 365, 7))
            end = min(start + length * ONE_DAY, LATEST_END) if length else None
            if dice.chance(4):
                end = next((day for day in self.days if day > start), None)
            self.terms.setdefault(_key(owner), []).append((start, end))
            currency = dice.pick(self.currencies)
            self._needs_rate(owner, currency, start)
            self.subscriptions.append(
                self._from(owner.get("source_system"))
                | {
                    "subscription_id": _padded(dice, dice.pick(("s", "0")) + str(number)),
                    "customer_id": owner["customer_id"].strip(),
                    "started_on": start.isoformat(),
                    "ended_on": end.isoformat() if end else dice.pick(("", None)),
                    "monthly_amount": dice.pick(MONTHLY_AMOUNTS),
                    "currency_code": currency,
                }
            )

    def _start(self, dice: _Dice, owner: dict) -> date:
        """Choose a first day: beside the customer's last contract, or an order, or anywhere."""
        start = dice.pick(self.days)
        contracts, orders = self.terms.get(_key(owner)), self.order_days.get(_key(owner))
        if contracts and not dice.chance(4):
            began, ended = contracts[-1]
            # The day on which the last one ended touches it, the one after leaves a gap of one.
            beside = [ended + n * ONE_DAY for n in (0, 1, -1, 31)] if ended else []
            start = _within(dice.pick((*beside, began, began + 31 * ONE_DAY))) or start
        elif orders and not dice.chance(3):
            offset = dice.pick((0, 1, -1, self.window, self.window - 1, self.window + 1))
            start = _within(dice.pick(orders) + offset * ONE_DAY) or start
        return start

    # --- exchange rates ---

    def _needs_rate(self, owner: dict, currency: str, day: date) -> None:
        if currency != self.reporting:
            key = (owner.get("source_system"), currency)
            self.first_needed[key] = min(day, self.first_needed.get(key, day))
            self.needed.append((key, day))

    def add_rates(self, rows: list[bytes]) -> None:
        """Give each currency in use a rate in time, then some more rates around."""
        dated = {}
        plain = iter(rows)
        for key, first in self.first_needed.items():
            dice = _Dice(next(plain, b""))
            dated[key, first - dice.pick((0, 1, 31)) * ONE_DAY] = dice.pick(RATES)
        for row in rows:
            dice = _Dice(row[::-1])
            # A row for the reporting currency must change nothing.
            anywhere = ((self.sources[0], dice.pick(CURRENCIES)), dice.pick(self.days))
            key, day = dice.pick((*self.needed, anywhere))
            day += dice.pick((0, 1, -1, 30)) * ONE_DAY
            if day >= self.first_needed.get(key, day):
                dated.setdefault((key, day), dice.pick(RATES))
        for ((source, currency), day), rate in dated.items():
            self.rates.append(
                self._from(source)
                | {
                    "currency_code": currency,
                    "rate_date": day.isoformat(),
                    "rate_to_reporting": rate,
                }
            )

    # --- small things ---

    def _from(self, source: str | None) -> dict:
        return {"source_system": source} if source else {}

    def _moment(self, dice: _Dice, day: date) -> tuple[str, date]:
        """Write a moment on a local day as text; return it with the local day it is read as."""
        local = datetime.combine(day, dice.pick(FIRST_MOMENT), self.zone)
        moment = local.astimezone(UTC)
        offset = dice.pick(OFFSETS)
        if offset not in ("", "Z"):
            digits = offset[1:].replace(":", "").ljust(4, "0")
            shift = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
            moment = moment.astimezone(timezone(-shift if offset[0] == "-" else shift))
        text = moment.replace(tzinfo=None).isoformat(sep=dice.pick((" ", "T")))
        if text.endswith(":00") and dice.chance(4):
            text = text.removesuffix(":00")
        if not offset and dice.chance(12):
            # A date alone is midnight UTC, which may be another day in the reporting time zone.
            text = text[:10]
            moment = datetime.combine(moment.date(), time(0), UTC)
        return text + offset, moment.astimezone(self.zone).date()

    def raw(self) -> dict[str, list[dict]]:
        """Return the inputs; an optional one that nobody needs is missing at times."""
        inputs = {
            "raw_customers": self.customers,
            "raw_orders": self.orders,
            "raw_surveys": self.answers,
            "raw_exchange_rates": self.rates,
            "raw_subscriptions": self.subscriptions,
        }
        if self.first_needed:
            self.dropped.discard("raw_exchange_rates")
        return {name: rows for name, rows in inputs.items() if name not in self.dropped}


def _key(owner: dict) -> tuple[str | None, str]:
    return owner.get("source_system"), owner["customer_id"].strip()


def _padded(dice: _Dice, text: str) -> str:
    """Put spaces around a value at times: they are trimmed away."""
    return f" {text} " if dice.chance(10) else text


def _within(day: date) -> date | None:
    return day if EARLIEST <= day <= LATEST else None
