"""What can go wrong on this machine, in words for the person who typed the command.

MachineError            nothing more specific: the text names the thing and the remedy
├── PortTakenError      a port of the stack is somebody else's
├── MissingError        a program or a file that `make setup` brings is not there
├── AlreadyUpError      a stack with other settings runs from this state directory
└── NotReadyError       a process did not become ready in its time
"""

from __future__ import annotations


class MachineError(Exception):
    """The stack cannot be started, stopped or asked; the text is for a person."""


class PortTakenError(MachineError):
    """A port is taken; the text names the variable that moves it."""


class MissingError(MachineError):
    """Something that `make setup` installs is missing."""


class AlreadyUpError(MachineError):
    """Another stack runs from the same state directory, or is being started or stopped there."""


class NotReadyError(MachineError):
    """A process did not become ready; the text holds the last lines of its log."""
