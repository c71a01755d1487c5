"""`python -m deploy.stand_ins [NAME ...]`: makes the stand-ins again, the same ones."""

from __future__ import annotations

import sys

from deploy.stand_ins.train import main

if __name__ == "__main__":
    main(sys.argv[1:])
