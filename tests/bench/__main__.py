"""`python -m tests.bench`: every measure, all in one run, as a table and as JSON in `.local/bench`."""

from __future__ import annotations

import sys

from tests.bench.run import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
