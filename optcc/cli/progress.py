"""A progress bar for work of several phases, shown only if it goes on for long."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType

DELAY = 2.0
"""Seconds of work before the bar is shown."""


class Phases:
    """Named phases of some work; after `DELAY` seconds, a bar on standard error if that is a terminal."""

    def __init__(self, names: tuple[str, ...], *, quiet: bool = False, delay: float = DELAY) -> None:
        self._names = names
        self._current = 0
        self._lock = threading.Lock()
        self._timer = None if quiet or not sys.stderr.isatty() else threading.Timer(delay, self._show)
        self._bar = None
        self._task = None
        self._done = False

    def __enter__(self) -> Phases:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        with self._lock:
            self._done = True
            if self._bar is not None:
                self._bar.stop()

    def enter(self, name: str) -> None:
        """Say which phase begins."""
        with self._lock:
            self._current = self._names.index(name)
            if self._bar is not None and self._task is not None:
                self._bar.update(self._task, description=name, completed=self._current)

    def _show(self) -> None:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        from optcc.cli.console import error_console

        with self._lock:
            if self._done:
                return
            columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
            self._bar = Progress(*columns, console=error_console(), transient=True)
            self._task = self._bar.add_task(self._names[self._current], total=len(self._names), completed=self._current)
            self._bar.start()


class Status:
    """What some work does just now; after `DELAY` seconds, a line on standard error if that is a terminal."""

    def __init__(self, *, delay: float = DELAY) -> None:
        self._begin = time.monotonic()
        self._delay = delay
        self._line = None

    def __enter__(self) -> Status:
        return self

    def show(self, what: str) -> None:
        """Say what begins."""
        if not sys.stderr.isatty() or time.monotonic() - self._begin < self._delay:
            return
        from rich.status import Status as Line

        from optcc.cli.console import error_console

        if self._line is None:
            self._line = Line(what, console=error_console())
            self._line.start()
        self._line.update(what)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.stop()
