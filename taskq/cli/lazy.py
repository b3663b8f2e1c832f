"""A group that knows its commands by name and imports one when it is called."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any, cast

import click

Section = Mapping[str, tuple[str, str]]
"""By name of the command: where it is ("module:attribute") and its help on one line."""


class Group(click.Group):
    """Says what a mistyped command may have meant. Without a command it prints its help and ends with 2."""

    def __init__(self, *args: Any, **settings: Any):
        super().__init__(*args, **{"no_args_is_help": False, **settings})

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args and not ctx.resilient_parsing:
            click.echo(ctx.get_help(), err=True)
            ctx.exit(2)
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        if name not in self.list_commands(ctx) and not ctx.resilient_parsing:
            meant = did_you_mean(name, self.list_commands(ctx), f"{ctx.command_path} ")
            raise click.UsageError(f"there is no command '{ctx.command_path} {name}'{meant}", ctx)
        return super().resolve_command(ctx, args)


class LazyGroup(Group):
    """`sections`: the commands under their headings, in the order in which help lists them."""

    def __init__(self, *args: Any, sections: Mapping[str, Section], **settings: Any):
        super().__init__(*args, **settings)
        self.sections = sections
        self._places = {name: place for section in sections.values() for name, place in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._places)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._places:
            return None
        module, _, attribute = self._places[cmd_name][0].partition(":")
        return cast("click.Command", getattr(import_module(module), attribute))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for heading, section in self.sections.items():
            with formatter.section(heading):
                formatter.write_dl([(f"{name:10}", text) for name, (_, text) in section.items()])


def did_you_mean(name: str, known: list[str], before: str = "") -> str:
    """A second line for an error about the unknown `name`, or nothing where none of `known` is like it."""
    from difflib import get_close_matches

    tails = {full.rsplit(".", 1)[-1]: full for full in known}
    close = get_close_matches(name, known, n=1) or [tails[tail] for tail in get_close_matches(name, tails, n=1)]
    return f"\n  hint: did you mean '{before}{close[0]}'?" if close else ""
