"""What the Python models of dbt (models/**/*.py) call.

session: what the adapter passes to a model, from which the engine is resolved here. Each function
returns the relation that the model is built from. dbt finds ``dbt.ref`` and ``dbt.config.get`` by
their text in a model's file, so these calls must stay there.
"""

from __future__ import annotations

from typing import Any

from customer_loyalty.engines.choose import engine_for
from customer_loyalty.gate import check, rules
from customer_loyalty.inputs.tables import check_table
from customer_loyalty.publish import publication


def land(session: Any, raw_data: str | None, raw_schema: str | None, name: str) -> Any:
    """The rows of an input in a folder of files; no rows without a folder.

    If source tables are read, checks the input's table. Raises FileFault, Refusal.
    """
    engine = engine_for(session)
    if raw_schema:
        check_table(engine, raw_schema, name)
    return engine.land(raw_data or None, name)


def judge_staged(session: Any, *, countries: Any, languages: Any) -> Any:
    """See ``check.judge_staged``. countries, languages: the reference seeds."""
    return check.judge_staged(engine_for(session), _codes(countries), _codes(languages))


def find_broken_rows(session: Any, *, countries: Any, languages: Any) -> Any:
    """See ``check.find_broken_rows``."""
    return check.find_broken_rows(engine_for(session), _codes(countries), _codes(languages))


def judge_left(session: Any, *, countries: Any, languages: Any) -> Any:
    """See ``check.judge_left``."""
    return check.judge_left(engine_for(session), _codes(countries), _codes(languages))


def export_rules(session: Any) -> Any:
    """See ``rules.export``."""
    return rules.export(engine_for(session))


def publish(session: Any) -> Any:
    """See ``publication.publish``."""
    return publication.publish(engine_for(session))


def _codes(seed: Any) -> list[str]:
    """The codes of a reference seed, in its first column."""
    return [row[0] for row in seed.fetchall()]
