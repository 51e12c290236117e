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


@params
class KeyValues:
    """Generated "key: value" sentences: a span that occurs twice, words that follow from a class, a text to write.

    What is to be written, `summary`, is the span, as it stands or backwards, whichever the sentence says.
    """

    keys: int = setting(12, ge=3, le=1000, help="keys in all; a sentence has none twice")
    words: int = setting(40, ge=2, le=20000, help="words in all that values are made of")
    classes: int = setting(4, ge=2, help="classes; each has a word of its own for every key")
    facts: int = setting(3, ge=1, help="pairs of a sentence whose word follows from its class")
    span: int = setting(6, ge=1, help="words of the span, which two keys of a sentence have")
    noise: float = setting(0.1, ge=0, le=1, help="share of facts whose word is any word")
    turned: float = setting(0.5, ge=0, le=1, help="share of sentences that ask for the span backwards")
    count: int = setting(20000, ge=1, help="training sentences")
    test_count: int = setting(1000, ge=1, help="test sentences")

    def check(self):
        if self.keys < self.facts + 2:
            yield (
                "keys",
                f"{self.facts} facts and two spans need {self.facts + 2} keys, there are {self.keys}",
            )
        if self.words < self.classes:
            yield (
                "words",
                f"{self.classes} classes with words of their own need as many, there are {self.words}",
            )

    def build(self, seed: int):
        from maskwright_text.key_values import key_values

        return key_values(
            self.keys,
            self.words,
            self.classes,
            self.facts,
            self.span,
            self.noise,
            self.turned,
            self.count,
            self.test_count,
            seed,
        )

    @classmethod
    def example(cls):
        return cls(keys=5, words=9, classes=2, facts=2, span=2, count=8, test_count=4)
