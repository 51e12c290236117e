"""Settings of generated texts. Imports nothing heavy."""

from maskwright.params import params, setting


@params
class TopicChains:
    """Generated sentences: frequent function words between content words that follow their topic's cycle."""

    content: int = setting(200, ge=2, le=20000, help="content words in all")
    functions: int = setting(10, ge=1, le=1000, help="function words in all; every third word is one")
    topics: int = setting(4, ge=1, help="topics, each with a cycle of its own through the content words")
    length: int = setting(24, ge=3, help="words of a sentence")
    noise: float = setting(0.1, ge=0, le=1, help="share of content words that are any word")
    count: int = setting(20000, ge=1, help="training sentences")
    test_count: int = setting(1000, ge=1, help="test sentences")

    def build(self, seed: int):
        from maskwright_text.topic_chains import topic_chains

        return topic_chains(
            self.content,
            self.functions,
            self.topics,
            self.length,
            self.noise,
            self.count,
            self.test_count,
            seed,
        )

    @classmethod
    def example(cls):
        return cls(content=12, functions=3, length=6, count=4, test_count=4)


@params
class TiedWords:
    """Generated texts: random words, then the same words once more. Of two hidden twins each tells the other."""

    words: int = setting(21, ge=2, le=20000, help="words in all, each as frequent as any other")
    distance: int = setting(5, ge=1, help="places from a word to its twin; a text has twice as many words")
    count: int = setting(20000, ge=1, help="training texts")
    test_count: int = setting(1000, ge=1, help="test texts")

    def build(self, seed: int):
        from maskwright_text.tied_words import tied_words

        return tied_words(self.words, self.distance, self.count, self.test_count, seed)

    @classmethod
    def example(cls):
        return cls(words=4, distance=3, count=4, test_count=4)
