"""``python -m flowbook.cli``."""

from flowbook.cli import main

main()
