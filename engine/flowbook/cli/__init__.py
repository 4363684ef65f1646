"""The command line: ``flowbook …``, one module per noun. What a command needs is imported when it runs."""

from flowbook.cli.root import main

__all__ = ["main"]
