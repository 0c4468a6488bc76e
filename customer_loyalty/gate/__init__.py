"""The gate between staging and everything below it: rules, their evaluation and the results."""
