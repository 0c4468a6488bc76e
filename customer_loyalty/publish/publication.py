"""Publish the marts, if the run may publish."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from customer_loyalty.contract import INPUTS
from customer_loyalty.engine import Engine, Publication
from customer_loyalty.errors import PublishFault
from customer_loyalty.inputs.files import folder_key

MARTS = (
    "retention",
    "churn",
    "nps",
    "csat",
    "ces",
    "reviews",
    "cltv",
    "customers",
    "cohort_retention",
)
QUALITY = (
    "gx_validation_results",
    "input_summary",
    "quarantined_raw_customers",
    "quarantined_raw_orders",
    "quarantined_raw_surveys",
    "quarantined_raw_subscriptions",
    "rules",
)
"""The tables of the gate that are published, in the schema ``quality``."""

PUBLISHED_ROW = "published_row"
"""The temporary table with the row of ``published_build`` before it is published."""


def publish(engine: Engine) -> Any:
    """Publish what this dbt run built, unless its hook decided otherwise in ``this_build``.

    Returns the row of ``published_build``; no row if nothing was published. Raises PublishFault.
    """
    this = engine.records("select * from this_build")[0]
    as_of = f"select max(as_of_date) from {engine.table('intermediate', 'int_as_of')}"
    values = {
        "build_id": this["build_id"],
        "published_at": datetime.now(UTC).replace(tzinfo=None, microsecond=0),
        "as_of_date": engine.value(as_of),
        "project_version": version("customer-loyalty"),
        "sources": this["sources"],
        "folder_key": folder_key(this["raw_data"]),
        "reporting_currency": this["reporting_currency"],
    }
    counted = {name: ("staging", name.replace("raw_", "staged_")) for name in INPUTS}
    counted |= {mart: ("marts", mart) for mart in MARTS}
    for name, place in counted.items():
        values[f"rows_{name}"] = engine.value(f"select count(*) from {engine.table(*place)}")
    types = json.loads(this["contract"])
    if types.keys() != values.keys():
        raise PublishFault(
            "Nothing was published, because the contract of published_build"
            " (models/published/_published__models.yml) and its row have different columns:"
            f" {', '.join(sorted(types.keys() ^ values.keys()))}."
        )
    is_published = this["not_published_because"] is None
    rows = [tuple(values[name] for name in types)]
    engine.create_table(PUBLISHED_ROW, types, rows if is_published else ())
    if is_published:
        row = {name: (type_, values[name]) for name, type_ in types.items()}
        place, keep = this["published_path"], this["keep_published"]
        engine.publish(Publication(row, published_tables(engine), place, keep))
    return engine.model_from(PUBLISHED_ROW)


def published_tables(engine: Engine) -> dict[str, str]:
    """The table that each published one is copied from, and ``published_build`` as the last."""
    rooms = {"marts": MARTS, "quality": QUALITY}
    tables = {
        f"{room}.{name}": engine.table(room, name)
        for room, names in rooms.items()
        for name in names
    }
    return tables | {"marts.published_build": PUBLISHED_ROW}
