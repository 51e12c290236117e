"""What tokenizers of benchmarks are trained on."""

from maskwright import Step


class Words:
    """A split of one text that holds so many words, each once."""

    def __init__(self, count: int) -> None:
        self.count = count

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def length(self, split: str) -> int:
        return 1

    def item(self, split: str, index: int, step: Step) -> dict[str, str]:
        return {"id": "all", "text": " ".join(f"w{number}" for number in range(self.count))}
