"""Two runs beside each other: what they were given, what they executed, how that ended and what it put out.

Pure: :func:`compare` takes what is known of each run and returns a record, which :mod:`.report` shows as text,
:mod:`.page` as HTML and :mod:`.facts` as JSON. Ids, execution counts and what is only a time are no difference.
"""

from flowbook.core.comparison.comparing import compare
from flowbook.core.comparison.records import Comparison, Side

__all__ = ["Comparison", "Side", "compare"]
