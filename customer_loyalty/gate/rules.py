"""The rules of the gate, from the suite files.

A suite file is a list of expectations in the format of Great Expectations; ``meta`` adds the rule's
id, the action if it is broken, and two sentences for people.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Any

from customer_loyalty import contract
from customer_loyalty.contract import INPUTS, load_yaml
from customer_loyalty.engine import Engine, Rule
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


def load_suite(name: str) -> tuple[Rule, ...]:
    """The rules of a suite. Raises GateError if a rule lacks a name, an action or a sentence."""
    suite = f"suites/{name}.yml"
    text = (files("customer_loyalty.gate") / suite).read_text("utf-8")
    return tuple(_rule(name, suite, one) for one in load_yaml(text)["expectations"])


def _rule(name: str, suite: str, expectation: Mapping[str, Any]) -> Rule:
    meta, kwargs = expectation.get("meta", {}), expectation["kwargs"]
    named = f"{suite}: rule {meta.get('rule', expectation['type'])}"
    missing = [word for word in ("rule", "action", "says", "remedy") if not meta.get(word)]
    if missing or meta["action"] not in ACTIONS:
        raise GateError(
            f"{named} needs {', '.join(missing) or 'an action of ' + ', '.join(ACTIONS)}."
        )
    if meta["action"] == "quarantine" and name in NO_QUARANTINE:
        raise GateError(f"{named} can't quarantine: {NO_QUARANTINE[name]}. Use stop or warn.")
    return Rule(
        name=meta["rule"],
        suite=suite,
        input=meta.get("input", name),
        column=meta.get("column", kwargs.get("column")),
        action=meta["action"],
        says=meta["says"],
        remedy=meta["remedy"],
        type=expectation["type"],
        kwargs=kwargs,
        measure=meta.get("measure"),
        show=meta.get("show", ()),
    )


def check_names(rules: Iterable[Rule]) -> None:
    """Raise GateError if two rules have the same name."""
    suites: dict[str, str] = {}
    for rule in rules:
        if rule.name in suites:
            raise GateError(
                f"The rule {rule.name} is in {suites[rule.name]} and again in {rule.suite}. Choose"
                " another name for one of them."
            )
        suites[rule.name] = rule.suite


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
    rows: list[tuple[str | None, ...]] = [
        ("*", "*", rule, "stop", says, remedy, "landing")
        for rule, (says, remedy) in FILE_RULES.items()
    ]
    rules = [rule for name in SUITES for rule in load_suite(name)]
    check_names(rules)
    rows += [
        (rule.input, rule.column, rule.name, rule.action, rule.says, rule.remedy, rule.type)
        for rule in rules
    ]
    columns = "input", "column_name", "rule", "action", "says", "remedy", "expectation"
    engine.create_table("exported_rules", dict.fromkeys(columns, "varchar"), rows)
    return engine.model_from("exported_rules")
