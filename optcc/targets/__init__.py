"""Devices to compile for that need not be there: the table of cards, and XLA's ahead-of-time compilers."""

from optcc.targets.cards import Card as Card
from optcc.targets.cards import cards as cards
from optcc.targets.target import Target as Target
from optcc.targets.target import platform_of as platform_of
from optcc.targets.target import target_of as target_of
