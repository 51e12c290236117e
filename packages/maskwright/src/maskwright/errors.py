"""Errors that are the user's to mend, told in four parts: what, where, why, what to do."""

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import attrs


class UserError(Exception):
    """Something the person at the keyboard can mend. The command line prints it and exits with 2.

    Any other exception counts as a fault of the program (exit code 1).
    """

    def __init__(self, what: str, *, where: str = "", why: str = "", cure: str = "") -> None:
        self.what, self.where, self.why, self.cure = what, where, why, cure
        super().__init__(what)

    def __str__(self) -> str:
        lines = [self.what]
        lines += [f"  where: {self.where}"] if self.where else []
        lines += [f"  why:   {self.why}"] if self.why else []
        lines += [f"  do:    {self.cure}"] if self.cure else []
        return "\n".join(lines)

    def as_message(self) -> str:
        """For a list of mistakes that gives the place itself: what and why, and below it what to do."""
        return f"{self.what}{f' ({self.why})' if self.why else ''}\n{self.cure}".rstrip()

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only arguments do not survive the default pickling, which joblib workers need.
        return _rebuild, (type(self), self.what, self.where, self.why, self.cure)


def _rebuild(cls: type[UserError], what: str, where: str, why: str, cure: str) -> UserError:
    return cls(what, where=where, why=why, cure=cure)


@attrs.frozen
class Mistake:
    """One thing wrong with a recipe: the path of the setting, and a sentence with what fits instead."""

    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path or '(recipe)'}: {self.message}"


class RecipeError(UserError):
    """All mistakes of one recipe, in one answer. Nothing was started."""

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source, self.mistakes = source, tuple(mistakes)
        count = len(self.mistakes)
        super().__init__(f"{source}: {count} problem{'s' if count != 1 else ''}, nothing was started")

    def __str__(self) -> str:
        width = min(32, max((len(m.path or "(recipe)") for m in self.mistakes), default=0))
        rows = []
        for mistake in self.mistakes:
            first, *more = mistake.message.splitlines()
            rows.append(f"  {mistake.path or '(recipe)':<{width}}  {first}")
            rows += [f"  {'':<{width}}  {line}" for line in more]
        return "\n".join([self.what, *rows])

    def __reduce__(self) -> tuple[Any, ...]:
        return RecipeError, (self.source, self.mistakes)


def printable(text: str) -> str:
    """Text from files or plugins without control characters, which a terminal would obey."""
    return "".join(c if c == "\n" or c.isprintable() else repr(c)[1:-1] for c in text)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`' — did you mean "steps"?'` when something near is known, else nothing."""
    near = difflib.get_close_matches(str(word), [str(name) for name in known], n=1, cutoff=0.6)
    return f' — did you mean "{near[0]}"?' if near else ""


MAX_KNOWN = 12
"""Names in a message; more would bury it."""


def one_of(word: str, known: Iterable[str]) -> str:
    """The nearest of what is known, or else what there is: `'; there are: first, second'`."""
    names = [str(name) for name in known]
    more = ", …" if len(names) > MAX_KNOWN else ""
    return did_you_mean(word, names) or (
        f"; there are: {', '.join(names[:MAX_KNOWN])}{more}" if names else ""
    )
