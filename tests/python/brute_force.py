"""All marts of the metric contract, computed again in the plainest way there is.

Who is active on a day is looked up in a set of days; every cell is counted by filtering people,
orders or answers. It shares no line and no idea with the SQL, so that a cell on which both agree
is right twice. Money stays an exact decimal; every ratio is worked out in exact fractions and
becomes a float at the very end.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, localcontext
from fractions import Fraction
from itertools import groupby
from zoneinfo import ZoneInfo

from compare import KEYS

Z = 1.959964
DAYS_IN_A_YEAR = Fraction("365.25")
ONE_DAY = timedelta(days=1)
MONTHS_IN = {"month": 1, "quarter": 3, "year": 12}
MARTS = tuple(KEYS)
# Written down again, not read from the project: a default that moves must be noticed.
DEFAULTS = {
    "as_of_date": None,
    "reporting_currency": "EUR",
    "reporting_time_zone": "UTC",
    "activity_window_days": 90,
    "period_grains": ["month", "quarter", "year"],
    "fiscal_year_start_month": 1,
    "segment_dimensions": ["country", "language", "acquisition_channel", "source_system"],
    "nps_responses": "all",
    "csat_satisfied_share": 0.75,
    "csat_satisfied_from": {},
    "ces_easy_share": 0.66,
    "cltv_window_days": 365,
    "minimum_responses": 5,
    # Not vars of the project: the source of rows that name none, and the clock of the run.
    "default_source": "files",
    "today": None,
}


@dataclass(eq=False)
class Order:
    """An order that counts, on its local date, in the reporting currency."""

    day: date
    net: Decimal


@dataclass(eq=False)
class Subscription:
    """A contract; without an end it is still running."""

    source: str
    started: date
    ended: date | None
    currency: str
    amount: Decimal

    def runs_on(self, day: date) -> bool:
        """Tell whether the contract is active at the close of a day."""
        return self.started <= day and (self.ended is None or day < self.ended)


@dataclass(eq=False)
class Customer:
    """A customer of one source system with what they did up to the as-of date."""

    source: str
    id: str
    signed_up_on: date
    segments: dict[str, str]
    orders: list[Order] = field(default_factory=list)
    subscriptions: list[Subscription] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)
    active: set[int] = field(default_factory=set)

    def is_active(self, day: date) -> bool:
        """Tell whether the customer is active at the close of a day."""
        return day.toordinal() in self.active

    @property
    def first_active(self) -> date:
        """The day of the first activity ever."""
        return date.fromordinal(min(self.active))


@dataclass(eq=False)
class Answer:
    """An answer to a survey, or a review."""

    id: str
    kind: str
    moment: datetime
    day: date
    score: Fraction
    low: int
    high: int
    customer: Customer | None
    segments: dict[str, str]

    @property
    def normalised(self) -> Fraction:
        """The score as a share of its scale, 0 to 1."""
        return (self.score - self.low) / (self.high - self.low)

    @property
    def recency(self) -> tuple[datetime, str]:
        """What makes one answer later than another: the moment, then the id as text."""
        return self.moment, self.id


@dataclass(eq=False)
class World:
    """Everything that happened up to the as-of date."""

    as_of: date
    customers: list[Customer]
    answers: list[Answer]
    rates: Rates


class Rates:
    """The exchange rates of every source system."""

    def __init__(self, rows: list[dict], options: dict):
        self.reporting = options["reporting_currency"]
        self.known = defaultdict(list)
        self.memo = {}
        for row in rows:
            key = (_source(row, options), _text(row, "currency_code"))
            day = date.fromisoformat(_text(row, "rate_date"))
            self.known[key].append((day, Decimal(_text(row, "rate_to_reporting"))))

    def on(self, source: str, currency: str, day: date) -> Decimal | None:
        """Return the latest rate on or before a day, None where there is none yet."""
        if currency == self.reporting:
            return Decimal(1)
        key = (source, currency, day)
        if key not in self.memo:
            past = [known for known in self.known[source, currency] if known[0] <= day]
            self.memo[key] = max(past)[1] if past else None
        return self.memo[key]


def marts(raw: dict[str, list[dict]], settings: dict) -> dict[str, list[dict]]:
    """Compute every mart from clean raw rows: name of the mart -> its rows."""
    options = DEFAULTS | settings
    # Far more digits than any product or sum of the inputs has: nothing is ever rounded.
    with localcontext() as context:
        context.prec = 200
        world = _read(raw, options)
        if world is None:
            return {mart: [] for mart in MARTS}
        retention, churn = _retention_and_churn(world, options)
        return {
            "retention": retention,
            "churn": churn,
            "nps": _survey_mart(world, options, "nps", _nps),
            "csat": _survey_mart(
                world, options, "csat", _share_of("satisfied_responses", "csat", _is_satisfied)
            ),
            "ces": _survey_mart(
                world, options, "ces", _share_of("easy_responses", "ces", _is_easy)
            ),
            "reviews": _survey_mart(
                world, options, "review", _share_of("positive_responses", "positive", _is_satisfied)
            ),
            "cltv": _cltv(world, options),
            "customers": [_customer_row(customer, world.as_of) for customer in world.customers],
            "cohort_retention": _cohort_retention(world),
        }


# --- reading ---------------------------------------------------------------------------------


def _text(row: dict, column: str) -> str:
    """Return a trimmed value; an empty one is ''."""
    return (row.get(column) or "").strip()


def _source(row: dict, options: dict) -> str:
    return row.get("source_system") or options["default_source"]


def _moment(text: str, zone: ZoneInfo) -> datetime:
    """Read a timestamp: one without an offset is UTC, a date alone begins in the zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        return moment.replace(tzinfo=zone if len(text) == 10 else UTC)
    return moment


def _local_day(text: str, zone: ZoneInfo) -> date:
    """Return the date of a timestamp in a zone; a date alone is that day anywhere."""
    if len(text) == 10:
        return date.fromisoformat(text)
    return _moment(text, zone).astimezone(zone).date()


def _as_date(value: date | str | None) -> date | None:
    return date.fromisoformat(value) if isinstance(value, str) and value else value or None


def _read(raw: dict[str, list[dict]], options: dict) -> World | None:
    """Read the inputs up to the as-of date; None where there is no as-of date."""
    zone = ZoneInfo(options["reporting_time_zone"])

    def local_day(row: dict, column: str) -> date:
        return _local_day(_text(row, column), zone)

    order_rows = [(row, local_day(row, "ordered_at")) for row in raw.get("raw_orders") or []]
    survey_rows = [(row, local_day(row, "responded_at")) for row in raw.get("raw_surveys") or []]
    subscription_rows = raw.get("raw_subscriptions") or []

    as_of = _as_of(options, [day for _, day in order_rows + survey_rows], subscription_rows)
    if as_of is None:
        return None

    customers = {}
    for row in raw.get("raw_customers") or []:
        source = _source(row, options)
        customer = Customer(
            source=source,
            id=_text(row, "customer_id"),
            signed_up_on=local_day(row, "signed_up_at"),
            segments={
                "country": _text(row, "country_code") or "unknown",
                "language": _text(row, "language_code") or "unknown",
                "acquisition_channel": _text(row, "acquisition_channel") or "unknown",
                "source_system": source,
            },
        )
        customers[source, customer.id] = customer

    rates = Rates(raw.get("raw_exchange_rates") or [], options)
    for row, day in order_rows:
        if day <= as_of and _counts(row):
            source = _source(row, options)
            rate = rates.on(source, _text(row, "currency_code"), day)
            net = Decimal(_text(row, "amount")) - _refunded(row)
            customers[source, _text(row, "customer_id")].orders.append(Order(day, net * rate))

    for row in subscription_rows:
        source = _source(row, options)
        subscription = Subscription(
            source=source,
            started=date.fromisoformat(_text(row, "started_on")),
            ended=_as_date(_text(row, "ended_on")),
            currency=_text(row, "currency_code"),
            amount=Decimal(_text(row, "monthly_amount")),
        )
        if subscription.started <= as_of:
            customers[source, _text(row, "customer_id")].subscriptions.append(subscription)

    answers = [_answer(row, day, customers, options) for row, day in survey_rows if day <= as_of]
    for answer in answers:
        if answer.customer:
            answer.customer.answers.append(answer)

    for customer in customers.values():
        customer.active = _active_days(customer, as_of, options["activity_window_days"])
    return World(as_of, list(customers.values()), answers, rates)


def _as_of(options: dict, seen: list[date], subscription_rows: list[dict]) -> date | None:
    """Return the as-of date: the given one, else the latest day of any order or answer."""
    given = _as_date(options["as_of_date"])
    if given:
        return given
    if seen:
        return max(seen)
    # With contracts alone an end may be agreed for a day that has not come yet.
    today = _as_date(options["today"]) or date.today()
    dates = [
        _as_date(_text(row, column))
        for row in subscription_rows
        for column in ("started_on", "ended_on")
    ]
    return max((day for day in dates if day and day <= today), default=None)


def _refunded(row: dict) -> Decimal:
    return Decimal(_text(row, "refunded_amount") or "0")


def _counts(row: dict) -> bool:
    """Tell whether an order counts: completed, and not refunded in full."""
    amount = Decimal(_text(row, "amount"))
    is_returned = amount > 0 and _refunded(row) == amount
    return _text(row, "status") == "completed" and not is_returned


def _answer(row: dict, day: date, customers: dict, options: dict) -> Answer:
    named = _text(row, "customer_id")
    customer = customers[_source(row, options), named] if named else None
    whose = customer.segments if customer else defaultdict(lambda: "anonymous")
    return Answer(
        id=_text(row, "response_id"),
        kind=_text(row, "survey_type"),
        moment=_moment(_text(row, "responded_at"), ZoneInfo(options["reporting_time_zone"])),
        day=day,
        score=Fraction(_text(row, "score")),
        low=int(Decimal(_text(row, "scale_min"))),
        high=int(Decimal(_text(row, "scale_max"))),
        customer=customer,
        segments={
            "country": whose["country"],
            "language": _text(row, "language_code") or whose["language"],
            "acquisition_channel": whose["acquisition_channel"],
            "source_system": whose["source_system"],
            "channel": _text(row, "channel") or "unknown",
        },
    )


def _active_days(customer: Customer, as_of: date, window: int) -> set[int]:
    """Return the days up to the as-of date on which a customer is active, as ordinals."""
    by_orders = {
        order.day.toordinal() + offset for order in customer.orders for offset in range(window)
    }
    # From the first contract on, contracts alone decide.
    if customer.subscriptions:
        first_contract = min(one.started for one in customer.subscriptions).toordinal()
        by_orders = {day for day in by_orders if day < first_contract}
    by_contract = set()
    for subscription in customer.subscriptions:
        day = subscription.started
        while day <= as_of and subscription.runs_on(day):
            by_contract.add(day.toordinal())
            day += ONE_DAY
    return {day for day in by_orders | by_contract if day <= as_of.toordinal()}


# --- the calendar ----------------------------------------------------------------------------


def _add_months(first_of_month: date, months: int) -> date:
    count = first_of_month.year * 12 + first_of_month.month - 1 + months
    return date(count // 12, count % 12 + 1, 1)


def period_of(grain: str, day: date, fiscal_start: int = 1) -> tuple[date, date]:
    """Return the first and the last day of the period that holds a day."""
    if grain == "week":
        monday = day - timedelta(days=day.weekday())
        return monday, monday + timedelta(days=6)
    length = MONTHS_IN[grain]
    months_gone = (day.month - fiscal_start) % length
    first = _add_months(day.replace(day=1), -months_gone)
    return first, _add_months(first, length) - ONE_DAY


def _periods(
    grain: str, first_day: date, last_day: date, fiscal_start: int = 1
) -> Iterator[tuple[date, date]]:
    """Walk the periods from the one that holds the first day to the one that holds the last."""
    first, last = period_of(grain, first_day, fiscal_start)
    while first <= last_day:
        yield first, last
        first, last = period_of(grain, last + ONE_DAY, fiscal_start)


# --- formulas --------------------------------------------------------------------------------


def _ratio(part, whole) -> float | None:
    return float(Fraction(part) / Fraction(whole)) if whole else None


def _pct(part, whole) -> float | None:
    return float(100 * Fraction(part) / Fraction(whole)) if whole else None


def wilson(successes: int, n: int) -> tuple[float | None, float | None]:
    """Return the ends of the Wilson score interval of a proportion, in percent."""
    if n == 0:
        return None, None
    p = successes / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * math.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    return 100 * (centre - half), 100 * (centre + half)


def net_promoter_score(promoters: int, passives: int, detractors: int) -> dict[str, float]:
    """Return the score, its standard error and its adjusted Wald interval."""
    n = promoters + passives + detractors
    difference = Fraction(promoters - detractors, n)
    variance = Fraction(promoters + detractors, n) - difference**2
    wider = n + 3
    adjusted = Fraction(promoters - detractors, wider)
    adjusted_variance = (promoters + detractors + Fraction(3, 2)) / wider - adjusted**2
    margin = Z * math.sqrt(adjusted_variance / wider)
    return {
        "nps": float(100 * difference),
        "nps_standard_error": 100 * math.sqrt(variance / n),
        "nps_low": max(-100.0, 100 * (float(adjusted) - margin)),
        "nps_high": min(100.0, 100 * (float(adjusted) + margin)),
    }


# --- retention and churn ---------------------------------------------------------------------


def _customer_cells(
    customers: Iterable[Customer], options: dict
) -> dict[tuple[str, str], set[Customer]]:
    """Return the customers of every dimension and segment that has any."""
    cells = defaultdict(set)
    for customer in customers:
        cells["all", "all"].add(customer)
        for dimension in options["segment_dimensions"]:
            cells[dimension, customer.segments[dimension]].add(customer)
    return cells


def _retention_and_churn(world: World, options: dict) -> tuple[list[dict], list[dict]]:
    ever_active = [customer for customer in world.customers if customer.active]
    if not ever_active:
        return [], []
    first_active = {customer: customer.first_active for customer in ever_active}
    first_order = min((o.day for c in world.customers for o in c.orders), default=None)
    has_contracts = any(customer.subscriptions for customer in world.customers)
    cells = _customer_cells(ever_active, options)

    retention, churn = [], []
    for grain in options["period_grains"]:
        for first, last in _periods(
            grain, min(first_active.values()), world.as_of, options["fiscal_year_start_month"]
        ):
            eve = first - ONE_DAY
            close = min(last, world.as_of)
            at_start = {c for c in ever_active if c.is_active(eve)}
            at_end = {c for c in ever_active if c.is_active(close)}
            seen_before = {c for c in ever_active if first_active[c] < first}
            seen_by_close = {c for c in ever_active if first_active[c] <= close}
            monthly = {c: _monthly_amounts(c, eve, close, world) for c in at_start}
            is_burn_in = first_order is not None and first < first_order + timedelta(
                days=options["activity_window_days"]
            )
            for (dimension, segment), members in cells.items():
                key = {
                    "period_grain": grain,
                    "period_start": first,
                    "period_end": last,
                    "dimension": dimension,
                    "segment": segment,
                    "is_complete_period": last <= world.as_of,
                    "is_burn_in_period": is_burn_in,
                }
                start, end = at_start & members, at_end & members
                arrived = end - start
                passing = (members & seen_by_close) - seen_before - start - end
                retention.append(key | _retained(start, end, arrived, seen_before, passing))
                churn.append(key | _churned(start, end))
                churn[-1].update(
                    _revenue([monthly[c] for c in start])
                    if has_contracts
                    else dict.fromkeys(REVENUE_COLUMNS)
                )
    return retention, churn


def _retained(start: set, end: set, arrived: set, seen_before: set, passing: set) -> dict:
    retained = start & end
    low, high = wilson(len(retained), len(start))
    return {
        "customers_at_start": len(start),
        "customers_at_end": len(end),
        "customers_new": len(arrived - seen_before),
        "customers_reactivated": len(arrived & seen_before),
        "customers_acquired": len(arrived),
        "customers_retained": len(retained),
        "customers_lost": len(start - end),
        "customers_passing": len(passing),
        "retention_rate_pct": _pct(len(end) - len(arrived), len(start)),
        "retention_rate_low_pct": low,
        "retention_rate_high_pct": high,
    }


def _churned(start: set, end: set) -> dict:
    lost = len(start - end)
    low, high = wilson(lost, len(start))
    return {
        "customers_at_start": len(start),
        "customers_lost": lost,
        "churn_rate_pct": _pct(lost, len(start)),
        "churn_rate_low_pct": low,
        "churn_rate_high_pct": high,
    }


REVENUE_COLUMNS = (
    "revenue_at_start",
    "revenue_lost",
    "revenue_contraction",
    "revenue_expansion",
    "revenue_churn_pct",
    "gross_revenue_retention_pct",
    "net_revenue_retention_pct",
)


def _monthly_amounts(
    customer: Customer, eve: date, close: date, world: World
) -> tuple[Decimal, Decimal]:
    """Return what a customer pays a month at the start and at the end of a period.

    Both at the rate of the day before the period, so that currency moves are no change.
    """

    def in_reporting(one: Subscription) -> Decimal:
        rate = world.rates.on(one.source, one.currency, eve)
        if rate is None:
            rate = world.rates.on(one.source, one.currency, one.started)
        return one.amount * rate

    at_start = [in_reporting(one) for one in customer.subscriptions if one.runs_on(eve)]
    at_end = [in_reporting(one) for one in customer.subscriptions if one.runs_on(close)]
    return sum(at_start, Decimal(0)), sum(at_end, Decimal(0))


def _revenue(monthly: list[tuple[Decimal, Decimal]]) -> dict:
    paying = [(before, after) for before, after in monthly if before > 0]
    staying = [(before, after) for before, after in paying if after > 0]
    at_start = sum((before for before, _ in paying), Decimal(0))
    lost = sum((before for before, after in paying if after == 0), Decimal(0))
    contraction = sum((max(before - after, Decimal(0)) for before, after in staying), Decimal(0))
    expansion = sum((max(after - before, Decimal(0)) for before, after in staying), Decimal(0))
    kept = at_start - lost - contraction
    values = (
        at_start,
        lost,
        contraction,
        expansion,
        _pct(lost, at_start),
        _pct(kept, at_start),
        _pct(kept + expansion, at_start),
    )
    return dict(zip(REVENUE_COLUMNS, values, strict=True))


# --- surveys ---------------------------------------------------------------------------------


def _survey_mart(
    world: World, options: dict, kind: str, summarise: Callable[[list[Answer], dict], dict]
) -> list[dict]:
    """Summarise the answers of one kind by period, dimension and segment."""
    rows = []
    for grain in options["period_grains"]:
        by_period = defaultdict(list)
        for answer in world.answers:
            if answer.kind == kind:
                period = period_of(grain, answer.day, options["fiscal_year_start_month"])
                by_period[period].append(answer)
        for (first, last), answers in by_period.items():
            takes_latest = kind == "nps" and options["nps_responses"] == "latest_per_customer"
            cells = defaultdict(list)
            for answer in _latest(answers) if takes_latest else answers:
                cells["all", "all"].append(answer)
                for dimension in [*options["segment_dimensions"], "channel"]:
                    cells[dimension, answer.segments[dimension]].append(answer)
            for (dimension, segment), members in cells.items():
                rows.append(
                    {
                        "period_grain": grain,
                        "period_start": first,
                        "period_end": last,
                        "dimension": dimension,
                        "segment": segment,
                        "is_complete_period": last <= world.as_of,
                        "responses": len(members),
                        "is_reportable": len(members) >= options["minimum_responses"],
                    }
                    | summarise(members, options)
                )
    return rows


def _latest(answers: list[Answer]) -> list[Answer]:
    """Return the last answer of each customer; every anonymous one counts."""
    by_customer = defaultdict(list)
    for answer in answers:
        by_customer[answer.customer].append(answer)
    anonymous = by_customer.pop(None, [])
    return anonymous + [max(own, key=lambda one: one.recency) for own in by_customer.values()]


def nps_group(score: Fraction) -> str:
    """Return the group that an answer on 0 to 10 puts somebody in."""
    if score >= 9:
        return "promoter"
    return "passive" if score >= 7 else "detractor"


def _nps(answers: list[Answer], options: dict) -> dict:
    groups = [nps_group(answer.score) for answer in answers]
    counts = [groups.count(group) for group in ("promoter", "passive", "detractor")]
    row = {}
    for column, count in zip(("promoters", "passives", "detractors"), counts, strict=True):
        row[column] = count
        row[f"{column}_pct"] = _pct(count, len(answers))
    return row | net_promoter_score(*counts)


def _is_satisfied(answer: Answer, options: dict) -> bool:
    threshold = options["csat_satisfied_from"].get(f"{answer.low}-{answer.high}")
    if threshold is not None:
        return answer.score >= Fraction(str(threshold))
    return answer.normalised >= Fraction(str(options["csat_satisfied_share"]))


def _is_easy(answer: Answer, options: dict) -> bool:
    return answer.normalised >= Fraction(str(options["ces_easy_share"]))


def _share_of(
    count_column: str, prefix: str, is_good: Callable[[Answer, dict], bool]
) -> Callable[[list[Answer], dict], dict]:
    """Return the summary of a mart that counts the good answers among all."""

    def summarise(answers: list[Answer], options: dict) -> dict:
        good = sum(is_good(answer, options) for answer in answers)
        low, high = wilson(good, len(answers))
        return {
            count_column: good,
            f"{prefix}_pct": _pct(good, len(answers)),
            f"{prefix}_low_pct": low,
            f"{prefix}_high_pct": high,
            "mean_score_pct": _pct(sum(answer.normalised for answer in answers), len(answers)),
        }

    return summarise


# --- customer lifetime value -----------------------------------------------------------------


def _cltv(world: World, options: dict) -> list[dict]:
    opens = world.as_of - timedelta(days=options["cltv_window_days"])
    rows = []
    cells = _customer_cells((c for c in world.customers if c.active), options)
    for (dimension, segment), members in cells.items():
        recent = {c: [o for o in c.orders if opens < o.day] for c in members}
        orders = [order for own in recent.values() for order in own]
        revenue = sum((order.net for order in orders), Decimal(0))
        historic = sum((order.net for c in members for order in c.orders), Decimal(0))
        recent_days = sum(sum(day > opens.toordinal() for day in c.active) for c in members)
        active_years = recent_days / DAYS_IN_A_YEAR
        lifetime_years = sum(len(c.active) for c in members) / DAYS_IN_A_YEAR
        lapsed = sum(not c.is_active(world.as_of) for c in members)

        value = Fraction(revenue) / len(orders) if orders else None
        frequency = len(orders) / active_years if orders and active_years else None
        lifespan = lifetime_years / lapsed if lapsed else None
        is_defined = None not in (value, frequency, lifespan)
        rows.append(
            {
                "dimension": dimension,
                "segment": segment,
                "as_of_date": world.as_of,
                "customers": len(members),
                "active_customer_years": float(active_years),
                "purchasers": sum(bool(own) for own in recent.values()),
                "orders": len(orders),
                "revenue": revenue,
                "lifetime_customer_years": float(lifetime_years),
                "customers_lapsed": lapsed,
                "average_purchase_value": None if value is None else float(value),
                "average_purchase_frequency": None if frequency is None else float(frequency),
                "average_lifespan_years": None if lifespan is None else float(lifespan),
                "cltv": float(value * frequency * lifespan) if is_defined else None,
                "historic_revenue": historic,
                "historic_revenue_per_customer": _ratio(historic, len(members)),
            }
        )
    return rows


# --- one row per customer --------------------------------------------------------------------


def _customer_row(customer: Customer, as_of: date) -> dict:
    days = [order.day for order in customer.orders]
    revenue = sum((order.net for order in customer.orders), Decimal(0))

    def last(kind: str) -> Answer | None:
        own = [answer for answer in customer.answers if answer.kind == kind]
        return max(own, key=lambda answer: answer.recency, default=None)

    last_nps, last_csat = last("nps"), last("csat")
    return {
        "customer_id": customer.id,
        **customer.segments,
        "signed_up_on": customer.signed_up_on,
        "first_order_on": min(days, default=None),
        "last_order_on": max(days, default=None),
        "orders": len(days),
        "revenue": revenue,
        "average_order_value": _ratio(revenue, len(days)),
        "active_days": len(customer.active),
        "is_active": customer.is_active(as_of),
        "days_since_last_order": (as_of - max(days)).days if days else None,
        "last_nps_score": int(last_nps.score) if last_nps else None,
        "last_nps_group": nps_group(last_nps.score) if last_nps else None,
        "last_csat_pct": float(100 * last_csat.normalised) if last_csat else None,
    }


# --- cohorts ---------------------------------------------------------------------------------


def _cohort_retention(world: World) -> list[dict]:
    def cohort_of(customer: Customer) -> date:
        return min(order.day for order in customer.orders).replace(day=1)

    buyers = sorted((c for c in world.customers if c.orders), key=cohort_of)
    rows = []
    for cohort, group in groupby(buyers, key=cohort_of):
        members = list(group)
        for months_since, (first, last) in enumerate(_periods("month", cohort, world.as_of)):
            close = min(last, world.as_of)
            ordering = sum(any(first <= o.day <= close for o in c.orders) for c in members)
            active = sum(c.is_active(close) for c in members)
            spent = [o.net for c in members for o in c.orders if o.day <= close]
            rows.append(
                {
                    "cohort_month": cohort,
                    "months_since": months_since,
                    "customers_in_cohort": len(members),
                    "customers_ordering": ordering,
                    "orders": sum(first <= o.day <= close for c in members for o in c.orders),
                    "ordering_pct": _pct(ordering, len(members)),
                    "customers_active": active,
                    "retention_pct": _pct(active, len(members)),
                    "cumulative_revenue": sum(spent, Decimal(0)),
                    "is_complete_period": last <= world.as_of,
                }
            )
    return rows
