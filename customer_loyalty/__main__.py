"""``python -m customer_loyalty`` is ``customer-loyalty``."""

from customer_loyalty.cli import main

main()
