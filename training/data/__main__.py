"""`python -m training.data`."""

import sys

from training.data.command import main

if __name__ == "__main__":
    sys.exit(main())
