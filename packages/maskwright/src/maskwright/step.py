"""Where a run is, and the only source of randomness: a function of (seed, names, stream, step number)."""

import hashlib

import attrs


@attrs.frozen
class Step:
    """Step `number` (from 0) of `total` under `seed`.

    >>> Step(seed=3, number=0, total=10).stream("mask") == Step(seed=3, number=0, total=99).stream("mask")
    True
    """

    seed: int = 0
    number: int = 0
    total: int = 1
    names: tuple[str, ...] = ()

    @property
    def progress(self) -> float:
        """Share of the run that lies before this step, in [0, 1)."""
        return self.number / max(self.total, 1)

    @property
    def done(self) -> float:
        """Share of the run that is over once this step is: reaches 1 at the last one."""
        return (self.number + 1) / max(self.total, 1)

    def at(self, number: int) -> "Step":
        """The same streams at another step number."""
        return attrs.evolve(self, number=number)

    def fork(self, *names: str | int) -> "Step":
        """A step with streams of its own, so that two parts never draw the same noise."""
        return attrs.evolve(self, names=self.names + tuple(str(name) for name in names))

    def stream(self, name: str) -> int:
        """A 64-bit key; feed it to a counter-based generator.

        `total` is left out on purpose: lengthening a run must not change the steps it already made.
        """
        words = (str(self.seed), *self.names, "\0", name, str(self.number))
        # Each word carries its length, so that ("ab", "c") and ("a", "bc") differ.
        text = b"".join(len(w.encode()).to_bytes(4, "big") + w.encode() for w in words)
        return int.from_bytes(hashlib.blake2b(text, digest_size=8).digest(), "big")
