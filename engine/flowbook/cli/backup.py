"""``flowbook backup``."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(epilog="Example: flowbook backup ~/flowbook-2026-01-31.tar.gz")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is there.")
def backup(file: Path, force: bool) -> None:
    """Write everything flowbook keeps to FILE, a .tar.gz archive.

    That is: the history, results, snapshots, files of runs, and keys (so keep FILE private). Flows may run meanwhile.
    Results that a task keeps in a folder of its own (result_storage) are not in it.

    \b
    To restore, unpack FILE into an empty folder, and have FLOWBOOK_HOME name that:
      mkdir -m 700 restored
      tar -xzpf FILE -C restored
      export FLOWBOOK_HOME=$PWD/restored

    With FLOWBOOK_DATABASE_URL on PostgreSQL, the history is there, and FILE has the rest: back the database up with
    pg_dump.
    """
    from flowbook.core.sizes import size_text
    from flowbook.settings import current_settings
    from flowbook.store.backup import back_up
    from flowbook.store.urls import parse_url, sqlite_file

    settings = current_settings()
    url = parse_url(settings.database_url)
    made = back_up(settings.home, url, file, replace=force)
    held = f"{made.files} {'file' if made.files == 1 else 'files'}"
    click.echo(
        f"{made.path} ({size_text(made.size)}) has {'the database and ' if made.has_database else ''}{held}. "
        "It holds keys: keep it private."
    )
    if sqlite_file(url) is None:
        click.echo("The history is in PostgreSQL and not in this file: back it up with pg_dump.")
