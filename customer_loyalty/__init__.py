"""What dbt and SQL can't do alone: reading files, judging inputs, publishing the marts."""
