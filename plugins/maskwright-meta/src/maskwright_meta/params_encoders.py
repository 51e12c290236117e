"""Settings of the encoder. Imports nothing heavy."""

from typing import Any

from maskwright.params import params, setting


def example_texts(make_data: Any) -> Any:
    """Short texts of two kinds for the contract checks, the same in both splits."""
    texts = (
        "red green blue",
        "one two three four",
        "blue red red",
        "four three one",
        "green green",
        "two two one",
    )
    items = [{"id": str(n), "text": text, "label": n % 2} for n, text in enumerate(texts)]
    return make_data({"train": items, "test": items})


@params
class BagOfWords:
    """The mean of the words' vectors, then a small network: to try methods out in seconds."""

    buckets: int = setting(
        1024, ge=2, help="rows of the table; a word goes to one by a hash, so nothing is fitted"
    )
    width: int = setting(64, ge=1, help="numbers in the pooled vector, and in each hidden layer")
    embedding: int = setting(48, ge=1, help="numbers in the vector of a word")
    depth: int = setting(2, ge=0, help="hidden layers with ReLU")

    def build(self, seed: int):
        from maskwright_meta.bag_of_words import BagOfWords as Built
        from maskwright_torch.part import seeded

        return seeded(seed, lambda: Built(self.buckets, self.embedding, self.width, self.depth))

    @classmethod
    def example(cls):
        return cls(buckets=16, width=8, embedding=6, depth=1)

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)
