"""The commands of the product: each one parses its words and makes one call.

`flask --help` lists them; docs/operations.md describes files and answers. A refusal is printed as
one Chinese and one English line with what to do, and ends with exit status 1.
"""

from __future__ import annotations

from flask import Flask

from backend.cli import demo, money, roster, running, setting_up


def register(app: Flask) -> None:
    """Add every command to `flask`."""
    for module in (setting_up, roster, money, running, demo):
        for command in module.COMMANDS:
            app.cli.add_command(command)
