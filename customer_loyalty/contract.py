"""The inputs and their columns, from the YAML file of the input contract."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

FILE = Path(__file__).parent.parent / "models" / "raw" / "_raw__contract.yml"


@dataclass(frozen=True)
class Column:
    """A column of an input. is_key: whether it is part of the key."""

    name: str
    is_key: bool
    is_personal: bool


@dataclass(frozen=True)
class Input:
    """One of the inputs. is_required: whether it must be delivered."""

    name: str
    is_required: bool
    columns: tuple[Column, ...]


def load_yaml(text: str) -> Any:
    """The value of a YAML document, by the fast loader where PyYAML has it."""
    return yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _input(table: dict[str, Any]) -> Input:
    columns = []
    for column in table["columns"]:
        meta = column.get("config", {}).get("meta", {})
        columns.append(
            Column(
                name=column["name"],
                is_key=meta.get("key", False),
                is_personal=meta.get("personal", False),
            )
        )
    return Input(table["name"], table["config"]["meta"]["required"], tuple(columns))


[_SOURCE] = load_yaml(FILE.read_text("utf-8"))["sources"]

CONTRACT = {table["name"]: _input(table) for table in _SOURCE["tables"]}
"""Every input by its name."""

RAW_SCHEMA = str(_SOURCE["config"]["meta"]["schema_pattern"])
"""The pattern for names of schemas with raw tables."""

INPUTS = {name: tuple(column.name for column in one.columns) for name, one in CONTRACT.items()}
"""The columns of each input."""

KEYS = {
    name: tuple(column.name for column in one.columns if column.is_key)
    for name, one in CONTRACT.items()
}
"""The columns that identify a row of each input within its source system."""

REQUIRED = frozenset(name for name, one in CONTRACT.items() if one.is_required)
"""The inputs that must be delivered; others are empty if they are missing."""
