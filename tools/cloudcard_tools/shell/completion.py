"""`cloudcard completion`: the script by which a shell completes the command line."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from cloudcard_tools.shared.failures import Failure

SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog="""\b
Examples:
  cloudcard completion bash > ~/.local/share/bash-completion/completions/cloudcard
  cloudcard completion zsh > ~/.zfunc/_cloudcard
  cloudcard completion fish > ~/.config/fish/completions/cloudcard.fish

\b
For zsh the folder is one of fpath: put `fpath+=~/.zfunc` before `compinit` in ~/.zshrc.
A new shell completes commands and options after TAB.
"""
)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """Print the script that makes SHELL complete cloudcard's commands and options."""
    made = get_completion_class(shell)
    if made is None:
        raise Failure(
            f"this version of click completes nothing in {shell}: install cloudcard again"
        )
    root = context.find_root()
    name = root.info_name or "cloudcard"
    variable = f"_{name}_COMPLETE".replace("-", "_").upper()
    click.echo(made(root.command, {}, name, variable).source())
