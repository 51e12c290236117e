"""The setting `shape` of encoders whose heads and neurons can be removed; checked without torch."""

from collections.abc import Sequence

Shape = Sequence[Sequence[int]]
"""[heads, neurons] of each block."""


def shape_mistake(shape: Shape, whole: Shape) -> str:
    """Why an encoder of the shape `whole` cannot be made `shape` by removing; empty where it can."""
    if len(shape) != len(whole):
        return f"needs [heads, neurons] for each of {len(whole)} blocks, found {len(shape)}"
    for number, (block, most) in enumerate(zip(shape, whole, strict=True)):
        if len(block) != 2 or not all(0 <= count <= limit for count, limit in zip(block, most, strict=True)):
            return f"block {number} has [heads, neurons] of at most {list(most)}, found {list(block)}"
    return ""
