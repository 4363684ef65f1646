"""The command `flowbook`, and what is common to all its commands: errors are one sentence, never a traceback."""

from __future__ import annotations

import sys
from typing import Any

import click

from flowbook import __version__
from flowbook.cli.artifact import artifact
from flowbook.cli.backup import backup
from flowbook.cli.cache import cache
from flowbook.cli.check import check
from flowbook.cli.deployment import deployment
from flowbook.cli.doctor import doctor
from flowbook.cli.limits import concurrency_limit
from flowbook.cli.promote import promote
from flowbook.cli.prune import prune
from flowbook.cli.run import run
from flowbook.cli.runs import runs
from flowbook.cli.schedule import schedule
from flowbook.cli.work_pool import work_pool
from flowbook.cli.work_queue import work_queue
from flowbook.cli.worker import worker
from flowbook.errors import FlowbookError, did_you_mean

_SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Root(click.Group):
    """A group that knows other names of its commands, and turns flowbook's errors into sentences."""

    also = {"flow-run": "runs", "gcl": "concurrency-limit"}  # noqa: RUF012 - click's classes are made this way

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, self.also.get(cmd_name, cmd_name))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}.{self._meant(ctx, args[0])}")
        return super().resolve_command(ctx, args)

    def _meant(self, ctx: click.Context, said: str) -> str:
        """The commands of groups that are called so, such as `flowbook runs logs`; else one that is spelt like it."""
        groups = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        inner = [
            f"`flowbook {name} {said}`"
            for name, group in groups
            if isinstance(group, click.Group) and said in group.commands
        ]
        return f" There is {', '.join(inner)}." if inner else did_you_mean(said, self.list_commands(ctx))

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except FlowbookError as error:
            raise click.ClickException(" ".join(str(error).split("\n"))) from error


@click.group(
    cls=Root,
    context_settings=_SETTINGS,
    epilog="Example: flowbook promote report.ipynb --schedule '0 7 * * 1-5' --tz Europe/Zurich",
)
@click.version_option(__version__, message="%(prog)s %(version)s")
def root() -> None:
    """Workflow orchestration inside Jupyter: promote notebooks, run them on a schedule, look at the runs."""


@root.command(epilog="Example: flowbook version")
def version() -> None:
    """Print the version of flowbook and of Python."""
    import platform

    click.echo(f"flowbook {__version__} (Python {platform.python_version()})")


for _command in (
    artifact,
    backup,
    cache,
    check,
    concurrency_limit,
    deployment,
    doctor,
    promote,
    prune,
    run,
    runs,
    schedule,
    work_pool,
    work_queue,
    worker,
):
    root.add_command(_command)


def main() -> None:
    """Run the command line of this process."""
    from flowbook.promote.imports import spare_formats

    spare_formats()
    if hasattr(sys.stdout, "reconfigure"):  # names of runs and cells may hold any character
        sys.stdout.reconfigure(errors="replace")
    root(prog_name="flowbook")
