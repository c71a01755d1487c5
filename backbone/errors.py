"""What can go wrong, by what the caller does about it.

Trouble
├── Refused      this message can never be decided: write its outcome, go on
├── Transient    the same input again, a bounded number of times
├── Doubt        nobody knows whether it was written: throw the producer away and claim the lane again
│   └── Fenced   somebody else has the lane: ask whether it is still ours before claiming it again
└── Fatal        log once, exit non-zero; the supervisor restarts
"""

from __future__ import annotations


class Trouble(Exception):
    """The root of the backbone's errors; its text names the thing and the remedy."""


class Refused(Trouble):
    """This message can never be decided."""


class Transient(Trouble):
    """Trying again with the same input may help."""


class Doubt(Trouble):
    """Nobody knows whether the transaction was written; only the broker's committed state does."""


class Fenced(Doubt):
    """Another process has claimed this lane."""


class Fatal(Trouble):
    """This process cannot go on."""
