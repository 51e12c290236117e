"""Settings of the evaluators. Imports nothing heavy."""

from maskwright.params import params, setting


def _case(make_data):
    """An objective of whose units a half are pruned, and items."""
    from maskwright_cap.example_parts import half_pruned
    from maskwright_torch.example_parts import example_items

    return half_pruned(), make_data(example_items())


@params
class Sparsity:
    """The share of parameters that is pruned: of the encoder's blocks alone, as papers count, and of the whole."""

    def build(self):
        from maskwright_cap.measuring import Sparsity as Built

        return Built()

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(), *_case(make_data)


@params
class SizeOnDisk:
    """Bytes of the encoder's weights as a file, dense and pruned."""

    def build(self):
        from maskwright_cap.measuring import SizeOnDisk as Built

        return Built()

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        return cls(), *_case(make_data)


@params
class Latency:
    """Time of a batch, dense beside compact or, of single weights, sparse: measured now, so never the same twice."""

    batch: int = setting(8, ge=1, help="items encoded at a time")
    length: int = setting(
        0, ge=0, help="tokens of each item, cut or repeated to that; 0: as the data have them"
    )
    rounds: int = setting(20, ge=1, help="timed batches of each encoder, whose median counts")
    warmup: int = setting(3, ge=0, help="batches before these")
    threads: int = setting(1, ge=0, help="threads of torch; 0: as many as it uses")

    def build(self):
        from maskwright_cap.measuring import Latency as Built

        return Built(self.batch, self.rounds, self.warmup, self.threads, self.length)

    @classmethod
    def example(cls):
        return cls(rounds=2, warmup=0)

    @classmethod
    def example_case(cls, make_data):
        return cls(rounds=2, warmup=0), *_case(make_data)


@params
class GlueScores:
    """Accuracy, F1, Matthews' and Spearman's correlation of a fine-tuned model, and predictions as GLUE wants them."""

    split: str = setting("test", help="split that is judged")

    def build(self):
        from maskwright_cap.glue_scores import GlueScores as Built

        return Built(self.split)

    @classmethod
    def example(cls):
        return cls()

    @classmethod
    def example_case(cls, make_data):
        from maskwright_torch.example_parts import example_items
        from maskwright_torch.params_classify import Classify

        return cls(), Classify.example(), make_data(example_items())
