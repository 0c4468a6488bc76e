"""The plugin that profiles.yml names for dbt-duckdb."""

from customer_loyalty.engines.plugin import Plugin

__all__ = ["Plugin"]
