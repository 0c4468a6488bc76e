"""Generate the inputs of a shop of any size as Parquet files, always the same for a size.

Eight countries, five channels and four currencies over five years: about ten orders and two survey
responses per customer, one contract in twenty customers, monthly exchange rates.
"""

from __future__ import annotations

from pathlib import Path

import duckdb

FIRST, LAST = "2020-01-01", "2024-12-31"
ORDERS_PER_CUSTOMER = 10

# Uniform in (0, 1), by a key and a number for each use of it.
MACROS = """
create macro uniform(key, use) as
    ((hash(key, use) >> 11)::double + 0.5) / 9007199254740992.0;
create macro pick(words, key, use, skew) as
    words[1 + floor(len(words) * pow(uniform(key, use), skew))::int];
create macro second(begins, days, key, use) as
    begins + to_seconds(floor(86400 * days * uniform(key, use))::bigint);
"""

# No sign-up in the last year's final days, so that each customer has time to order.
CUSTOMERS = f"""
select
    number,
    second(timestamp '{FIRST}', 1700, number, 1) as signed_up_at,
    pick(['US', 'DE', 'FR', 'GB', 'ES', 'IT', 'BR', 'IN'], number, 2, 1.8) as country_code,
    pick(['organic', 'paid_search', 'social', 'email', 'referral'], number, 3, 1.3) as channel,
    pick(['EUR', 'EUR', 'EUR', 'USD', 'GBP', 'JPY'], number, 4, 1) as currency_code,
    -- Few customers order often: the mean is ORDERS_PER_CUSTOMER.
    ceil(-ln(uniform(number, 5)) * ({ORDERS_PER_CUSTOMER} - 0.5))::int as orders,
    -- So long they order, not beyond the last day.
    least(
        30 + floor(-ln(uniform(number, 6)) * 400)::int,
        datediff('day', signed_up_at, timestamp '{LAST}')
    ) as days
from range({{customers}}) as numbers (number)
"""

INPUTS = {
    "raw_customers": """
        select
            'c' || number as customer_id,
            signed_up_at,
            'p' || number || '@example.com' as email,
            'Person ' || number as full_name,
            country_code,
            lower(country_code) as language_code,
            channel as acquisition_channel
        from customers
    """,
    "raw_orders": """
        with numbered as (
            select *, unnest(range(orders)) as nth from customers
        ),

        placed as (
            select
                *,
                1000 * number + nth as key,
                if(currency_code = 'JPY', 150, 1) as units
            from numbered
        )

        select
            'o' || key as order_id,
            'c' || number as customer_id,
            second(signed_up_at, if(nth = 0, 1, days), key, 11) as ordered_at,
            case
                when uniform(key, 12) < 0.03 then 'cancelled'
                when uniform(key, 12) < 0.05 then 'returned'
                else 'completed'
            end as status,
            currency_code,
            (units * (5 + round(-30 * ln(uniform(key, 13)), 2)))::decimal(18, 4) as amount,
            if(uniform(key, 14) < 0.02, 1, 0)::decimal(18, 4) as refunded_amount
        from placed
    """,
    "raw_surveys": f"""
        with numbered as (
            select *, unnest(range(floor(5 * uniform(number, 20))::int)) as nth from customers
        ),

        asked as (
            select *, 10 * number + nth as key, uniform(10 * number + nth, 21) < 0.5 as is_nps
            from numbered
        )

        select
            's' || key as response_id,
            'c' || number as customer_id,
            if(is_nps, 'nps', 'csat') as survey_type,
            least(second(signed_up_at, 900, key, 22), timestamp '{LAST} 23:00:00') as responded_at,
            if(
                is_nps,
                floor(11 * sqrt(uniform(key, 23))),
                1 + floor(5 * pow(uniform(key, 23), 0.6))
            )::int as score,
            if(is_nps, 0, 1) as scale_min,
            if(is_nps, 10, 5) as scale_max,
            pick(['email', 'in_app', 'phone'], key, 24, 1) as channel,
            null::varchar as language_code,
            null::varchar as comment
        from asked
    """,
    "raw_exchange_rates": f"""
        select
            currency_code,
            month::date as rate_date,
            (rate * (1 + 0.03 * sin(month(month) + year(month))))::decimal(18, 10)
                as rate_to_reporting
        from
            range(timestamp '{FIRST}', timestamp '{LAST}', interval 1 month) as months (month),
            (values ('USD', 0.92), ('GBP', 1.17), ('JPY', 0.0062)) as rates (currency_code, rate)
    """,
    "raw_subscriptions": f"""
        select
            'u' || number as subscription_id,
            'c' || number as customer_id,
            (signed_up_at + interval 1 day)::date as started_on,
            case
                when uniform(number, 31) < 0.6
                    then least((signed_up_at + interval 400 day)::date, date '{LAST}')
            end as ended_on,
            (5 + floor(50 * uniform(number, 32)))::decimal(18, 4) as monthly_amount,
            currency_code
        from customers
        where uniform(number, 30) < 0.05
    """,
}


def generate(folder: Path, orders: int) -> dict[str, int]:
    """Write the inputs of a shop with about so many orders; the number of rows of each."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = {}
    with duckdb.connect(config={"preserve_insertion_order": False}) as con:
        con.execute(MACROS)
        customers = CUSTOMERS.format(customers=max(orders // ORDERS_PER_CUSTOMER, 1))
        con.execute(f"create view customers as {customers}")
        for name, sql in INPUTS.items():
            path = str(folder / f"{name}.parquet").replace("'", "''")
            [(rows[name],)] = con.execute(f"copy ({sql}) to '{path}'").fetchall()
    return rows
