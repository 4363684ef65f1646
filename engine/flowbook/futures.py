"""Futures of submitted task runs: wait for them, take their results, pass them on."""

from flowbook.run.future import Future, FutureList, as_completed, wait

PrefectFuture = Future

__all__ = ["Future", "FutureList", "PrefectFuture", "as_completed", "wait"]
