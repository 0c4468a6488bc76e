"""The rules of the gate: what the suite files say of each, read and checked.

A suite file is Great Expectations' own form of a list of expectations; ``meta`` adds the rule's id,
what a broken rule does, and two sentences for people.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import engine_of
from customer_loyalty.files import LANDING_RULES

ACTIONS = ("stop", "quarantine", "warn")

KEYS: dict[str, tuple[str, ...]] = {
    "raw_customers": ("customer_id",),
    "raw_orders": ("order_id",),
    "raw_surveys": ("response_id",),
    "raw_exchange_rates": ("currency_code", "rate_date"),
    "raw_subscriptions": ("subscription_id",),
    "input_distributions": ("source_system", "item"),
}
"""The columns that name a row of each input, or of what is measured on them, to a person."""

SUITES = (*INPUTS, "input_distributions")
"""The suite files, by name."""

NO_QUARANTINE = {
    "raw_exchange_rates": "where a rate is left out, an older one would take its place",
    "input_distributions": "it judges no rows of an input",
}
"""Suites whose rules can't leave rows out, and why."""


class GateError(Exception):
    """The gate itself is broken: a suite that can't be read, a rule that gave no result."""


def load_suite(name: str) -> dict[str, Any]:
    """The suite of an input. Raises GateError where a rule has no name, action or sentence."""
    suite = yaml.safe_load(
        (files("customer_loyalty") / "suites" / f"{name}.yml").read_text("utf-8")
    )
    for rule in suite["expectations"]:
        meta = rule.setdefault("meta", {})
        meta["suite"] = f"suites/{name}.yml"
        told = f"{meta['suite']}: rule {meta.get('rule', rule['type'])}"
        missing = [word for word in ("rule", "action", "says", "remedy") if not meta.get(word)]
        if missing or meta["action"] not in ACTIONS:
            raise GateError(
                f"{told} needs {', '.join(missing) or 'an action of ' + ', '.join(ACTIONS)}."
            )
        if meta["action"] == "quarantine" and name in NO_QUARANTINE:
            raise GateError(f"{told} can't quarantine: {NO_QUARANTINE[name]}. Let it stop or warn.")
    rules = [rule["meta"]["rule"] for rule in suite["expectations"]]
    twice = {rule for rule in rules if rules.count(rule) > 1}
    if twice:
        raise GateError(f"suites/{name}.yml: {', '.join(sorted(twice))} stands there twice.")
    return suite


def with_parameters(value: Any, parameters: dict[str, Any]) -> Any:
    """What a suite says, with its ``{$PARAMETER: name}`` replaced. Raises KeyError."""
    if isinstance(value, dict):
        if set(value) == {"$PARAMETER"}:
            return parameters[value["$PARAMETER"]]
        return {key: with_parameters(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [with_parameters(item, parameters) for item in value]
    return value


def export(session: Any) -> Any:
    """Every rule as the relation that ``quality.rules`` is made of: one row per rule.

    Those of files first: what they stop never comes before Great Expectations.
    """
    rows = [
        ("*", "*", rule, "stop", says, remedy, "landing")
        for rule, (says, remedy) in LANDING_RULES.items()
    ]
    rows += [
        (
            meta.get("input", name),
            meta.get("column", rule["kwargs"].get("column")),
            meta["rule"],
            meta["action"],
            meta["says"],
            meta["remedy"],
            rule["type"],
        )
        for name in SUITES
        for rule in load_suite(name)["expectations"]
        for meta in [rule["meta"]]
    ]
    engine = engine_of(session)
    columns = "input", "column_name", "rule", "action", "says", "remedy", "expectation"
    engine.create_table("exported_rules", dict.fromkeys(columns, "varchar"), rows)
    return engine.made_of("exported_rules")
