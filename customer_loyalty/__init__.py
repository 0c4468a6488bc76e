"""What dbt and SQL can't do alone: read files, check inputs, and publish the marts."""
