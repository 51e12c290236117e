"""How a batch falls into episodes, and episodes into chunks: k for inner steps, one for the loss after them."""

import attrs

from maskwright.errors import UserError


@attrs.frozen
class Layout:
    """`episodes` an update, each of `deepest` + 1 chunks of as many rows."""

    episodes: int
    deepest: int

    @property
    def chunks(self) -> int:
        return self.deepest + 1

    def rows_of_chunk(self, batch: int) -> int:
        """UserError with the nearest batches where this one cannot be cut evenly."""
        parts = self.episodes * self.chunks
        if batch % parts == 0:
            return batch // parts
        low = batch // parts * parts
        near = f"{low} or {low + parts}" if low else str(parts)
        raise UserError(
            f"a batch of {batch} rows cannot be cut into {self.episodes} episodes of {self.chunks} equal chunks",
            where="batch",
            why=f"an update has {self.episodes} × ({self.deepest} + 1) = {parts} chunks: one for each inner step "
            "and one for the loss after them",
            cure=f"batch={near}, or other objective.episodes or objective.deepest",
        )

    def chunk_in(self, rows: int, chunk: int | None) -> int:
        """Rows of a chunk in a piece of a batch. `chunk` is None before the engine has asked for the order of batches:
        then the piece is a whole batch."""
        return self.rows_of_chunk(rows) if chunk is None else chunk
