"""The input contract: which inputs there are, and their columns."""

from __future__ import annotations

INPUTS: dict[str, tuple[str, ...]] = {
    "raw_customers": (
        "customer_id",
        "signed_up_at",
        "email",
        "full_name",
        "country_code",
        "language_code",
        "acquisition_channel",
    ),
    "raw_orders": (
        "order_id",
        "customer_id",
        "ordered_at",
        "status",
        "currency_code",
        "amount",
        "refunded_amount",
    ),
    "raw_surveys": (
        "response_id",
        "customer_id",
        "survey_type",
        "responded_at",
        "score",
        "scale_min",
        "scale_max",
        "channel",
        "language_code",
        "comment",
    ),
    "raw_exchange_rates": ("currency_code", "rate_date", "rate_to_reporting"),
    "raw_subscriptions": (
        "subscription_id",
        "customer_id",
        "started_on",
        "ended_on",
        "monthly_amount",
        "currency_code",
    ),
}
"""Columns of each input, by its name in a folder of files."""

REQUIRED: frozenset[str] = frozenset({"raw_customers", "raw_orders"})
"""Inputs that must be there; the others are empty where they are missing."""
