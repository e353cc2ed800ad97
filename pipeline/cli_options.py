"""Options that several commands take."""

from __future__ import annotations

import click

__all__ = ["recipe_option", "set_option"]

recipe_option = click.option(
    "--recipe", "-r", default="web", show_default=True, metavar="NAME|FILE", help="A built-in recipe or a TOML file."
)
set_option = click.option(
    "--set", "changes", multiple=True, metavar="STAGE.SETTING=VALUE", help="Change one setting; may be given again."
)
