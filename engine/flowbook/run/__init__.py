"""The drivers of the run protocol, and what they need around them: context, logs, timeouts, the thread pool.

A driver takes a life from :mod:`flowbook.core.protocol` and performs the effects it yields. There are three:
:mod:`~flowbook.run.inline` in the calling thread, :mod:`~flowbook.run.aio` on a running event loop, and
:mod:`~flowbook.run.pool` in threads.
"""
