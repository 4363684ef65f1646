"""The record: one database that events are committed to in groups, and files beside it.

SQLAlchemy is imported on first use, so this package itself imports nothing heavy.
"""
