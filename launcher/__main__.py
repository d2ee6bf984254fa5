"""`python -m launcher <command>`; written so that an old Python can still say it is old."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 - the very case this line is for
    sys.exit(
        "需要 Python 3.11 以上 / Python 3.11 or newer is needed, this is "
        + sys.version.split()[0]
        + ": install it, then run `make PYTHON=python3.11 run`."
    )

from launcher.main import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
