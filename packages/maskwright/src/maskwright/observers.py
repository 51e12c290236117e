"""Calls the watching hooks, one implementation at a time: a run never dies of its logger."""

import sys
from typing import Any

from maskwright.catalogue import catalogue, trace


class Observers:
    """The watching hooks of one run. One that raises is reported once and left out from then on."""

    def __init__(self) -> None:
        self.switched_off: set[str] = set()

    def call(self, hook: str, **arguments: Any) -> None:
        caller = getattr(catalogue().manager.hook, hook)
        for implementation in reversed(caller.get_hookimpls()):  # the order of a plain pluggy call
            name = implementation.plugin_name
            if name in self.switched_off:
                continue
            trace(f"{hook} -> {name}")
            try:
                implementation.function(**{word: arguments[word] for word in implementation.argnames})
            except (Exception, SystemExit) as error:
                self.switched_off.add(name)
                print(
                    f"maskwright: the observer {name} failed in {hook} and is switched off for this run "
                    f"({type(error).__name__}: {error})",
                    file=sys.stderr,
                )
