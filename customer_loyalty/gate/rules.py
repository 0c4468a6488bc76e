"""The rules of the gate, from the suite files.

A suite file is a list of expectations in the format of Great Expectations; ``meta`` adds the rule's
id, the action if it is broken, and two sentences for people.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import yaml

from customer_loyalty import contract
from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Engine
from customer_loyalty.errors import GateError
from customer_loyalty.inputs.faults import FILE_RULES

ACTIONS = ("stop", "quarantine", "warn")

KEYS = contract.KEYS | {"input_distributions": ("source_system", "item")}
"""The columns that identify a row of each suite's table to a person."""

PLACE = ("_source_file", "_source_row")
"""The columns with the origin of a row of an input."""

SUITES = (*INPUTS, "input_distributions")
"""The suite files, by name."""

NO_QUARANTINE = {
    "raw_exchange_rates": "without a rate, an older one would be used instead",
    "input_distributions": "it does not check rows of an input",
}
"""Suites whose rules can't leave rows out, and why."""


def load_suite(name: str) -> dict[str, Any]:
    """The suite of an input. Raises GateError if a rule lacks a name, an action or a sentence."""
    suite: dict[str, Any] = yaml.safe_load(
        (files("customer_loyalty.gate") / "suites" / f"{name}.yml").read_text("utf-8")
    )
    for rule in suite["expectations"]:
        meta = rule.setdefault("meta", {})
        meta["suite"] = f"suites/{name}.yml"
        named = f"{meta['suite']}: rule {meta.get('rule', rule['type'])}"
        missing = [word for word in ("rule", "action", "says", "remedy") if not meta.get(word)]
        if missing or meta["action"] not in ACTIONS:
            raise GateError(
                f"{named} needs {', '.join(missing) or 'an action of ' + ', '.join(ACTIONS)}."
            )
        if meta["action"] == "quarantine" and name in NO_QUARANTINE:
            raise GateError(f"{named} can't quarantine: {NO_QUARANTINE[name]}. Use stop or warn.")
    rules = [rule["meta"]["rule"] for rule in suite["expectations"]]
    twice = {rule for rule in rules if rules.count(rule) > 1}
    if twice:
        raise GateError(f"suites/{name}.yml: {', '.join(sorted(twice))} appears twice.")
    return suite


def with_parameters(value: Any, parameters: dict[str, Any]) -> Any:
    """A value of a suite with its ``{$PARAMETER: name}`` replaced. Raises KeyError."""
    if isinstance(value, dict):
        if set(value) == {"$PARAMETER"}:
            return parameters[value["$PARAMETER"]]
        return {key: with_parameters(item, parameters) for key, item in value.items()}
    if isinstance(value, list):
        return [with_parameters(item, parameters) for item in value]
    return value


def export(engine: Engine) -> Any:
    """The relation for the model ``quality.rules``: one row per rule.

    Rules for files come first, because they are checked before Great Expectations runs.
    """
    rows = [
        ("*", "*", rule, "stop", says, remedy, "landing")
        for rule, (says, remedy) in FILE_RULES.items()
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
    columns = "input", "column_name", "rule", "action", "says", "remedy", "expectation"
    engine.create_table("exported_rules", dict.fromkeys(columns, "varchar"), rows)
    return engine.model_from("exported_rules")
