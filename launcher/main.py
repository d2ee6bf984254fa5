"""The commands of the launcher. A Stop becomes one line and exit status 1."""

from __future__ import annotations

import argparse
import os
import subprocess

from launcher import install, project, roles
from launcher.run import run
from launcher.say import Stop, say, warn


def main(arguments: list[str]) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="launcher", description="缴清 Jiaoqing on one machine")
    parser.add_argument("command", choices=("setup", "run", "start", "roles"))
    parser.add_argument("--tests", action="store_true", help="also what only the tests need")
    parser.add_argument("--only-python", action="store_true", help="leave Node's packages out")
    options = parser.parse_args(arguments)
    try:
        return _command(options)
    except Stop as reason:
        warn(str(reason))
    except subprocess.CalledProcessError as failed:
        warn(f"失败 / failed ({failed.returncode}): {' '.join(map(str, failed.cmd))}")
    except KeyboardInterrupt:
        warn("已中断 / interrupted")
    return 1


def _command(options: argparse.Namespace) -> int:
    if options.command == "start":  # inside the virtual environment, everything installed
        return run()
    if options.command == "roles":
        say(roles.by_hand_sql())
        return 0
    install.install(tests=options.tests, node=not options.only_python)
    if options.command == "run":
        # From here on the wheels' server programs must be found: go on in that Python.
        os.execv(project.PYTHON, [str(project.PYTHON), "-m", "launcher", "start"])
    return 0
