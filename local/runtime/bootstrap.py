"""The process of a worker: runs AWS's runtime client, and ends with its parent."""

import sys

from local.runtime.exit_with_parent import exit_with_parent


def main() -> None:
    exit_with_parent()

    from awslambdaric.__main__ import main as runtime_client

    runtime_client(sys.argv)


if __name__ == "__main__":
    main()
