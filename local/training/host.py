"""The process of a training host: runs the program, and ends with its parent."""

import runpy
import sys

from local.runtime.exit_with_parent import exit_with_parent


def main() -> None:
    """`host.py PROGRAM ARGUMENT…`: runs PROGRAM as `python PROGRAM ARGUMENT…` would."""
    exit_with_parent()
    sys.argv = sys.argv[1:]
    try:
        runpy.run_path(sys.argv[0], run_name="__main__")
    except ModuleNotFoundError as error:
        sys.exit(f"error: {error}; `make training` installs what training needs on this machine.")


if __name__ == "__main__":
    main()
