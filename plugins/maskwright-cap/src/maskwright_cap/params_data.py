"""Settings of the generated sentences. Imports nothing heavy."""

from typing import Literal

from maskwright.params import params, setting


@params
class TopicAttributes:
    """Generated sentences of a topic and an attribute: one is the label, the other can be asked for by a probe."""

    label: Literal["attribute", "topic"] = setting("attribute", help="which of the two is the label")
    words: int = setting(600, ge=20, le=20000, help="words in all; a fifth belongs to attributes")
    topics: int = setting(12, ge=2, le=1000, help="topics, each with a chain through words of its own")
    attributes: int = setting(4, ge=2, le=100, help="attributes, each with words of its own")
    length: int = setting(24, ge=4, help="words of a sentence")
    noise: float = setting(
        0.2, ge=0, le=1, help="share of words out of order: any word of the topic, or of any attribute"
    )
    count: int = setting(20000, ge=1, help="training sentences")
    test_count: int = setting(1000, ge=1, help="test sentences")
    language: int = setting(
        0, ge=0, help="another number, other chains; sentences are drawn by the run's seed"
    )

    def check(self):
        # A fifth of the words is divided among the attributes; see Language in topic_attributes.
        if self.words < 5 * self.attributes:
            yield (
                "attributes",
                f"{self.attributes} attributes need a word each out of a fifth of all: words >= {5 * self.attributes}",
            )

    def build(self, seed: int):
        from maskwright_cap.topic_attributes import Language
        from maskwright_cap.topic_attributes import TopicAttributes as Built

        spoken = Language(self.words, self.topics, self.attributes, self.language)
        counts = {"train": self.count, "test": self.test_count}
        return Built(spoken, self.length, self.noise, counts, self.label, seed)

    @classmethod
    def example(cls):
        return cls(words=40, topics=3, attributes=2, length=8, count=6, test_count=4)
