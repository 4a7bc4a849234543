"""Pointing at a place in a text."""


def excerpt(text: str, position: int, length: int = 1, margin: int = 9) -> str:
    """The line of a text that holds a position, with carets under `length` characters of it."""
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    line = text[start : end if end >= 0 else len(text)]
    line = "".join(c if c.isprintable() else " " for c in line)
    column = position - start
    first = max(0, column - 60)
    shown = line[first : first + 100].rstrip()
    carets = "^" * max(1, min(length, first + len(shown) - column))
    return f"{' ' * margin}{shown}\n{' ' * (margin + column - first)}{carets}"
