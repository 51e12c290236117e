"""Settings of the encoder whose network and weights transformers wrote. Imports nothing heavy."""

from pathlib import Path
from typing import Literal

from maskwright.errors import UserError
from maskwright.params import params, setting
from maskwright_text.foreign_config import is_text_model, read_folder
from maskwright_text.params_models import EXPORTS, TextEncoder, example_texts


@params
class HfText:
    """A masked language model from a folder that transformers wrote: BERT, RoBERTa, ELECTRA, ModernBERT and alike."""

    path: Path = setting(help="folder with config.json, weights and tokenizer; a run of it needs it too")
    length: int = setting(128, ge=3, help="most tokens of a text, special ones too; longer texts are cut")
    pool: Literal["mean", "first"] = setting(
        "mean", help="the pooled vector: mean of the tokens' states, or the state of the first token"
    )
    attention: Literal["sdpa", "eager"] = setting(
        "sdpa", help="sdpa: torch's fused kernels; eager: step by step, slower"
    )

    def tags(self):
        return {"takes:attention"} if is_text_model(self.path) else set()

    def check(self):
        try:
            longest = read_folder(self.path).longest
        except UserError as error:
            yield "path", "\n".join(filter(None, (error.what, error.why, error.cure)))
            return
        if self.length > longest:
            yield "length", f"{self.length} tokens, the model in {self.path} has positions for {longest}"

    def build(self):
        from maskwright_text.foreign import ForeignEncoder
        from maskwright_text.foreign_folders import open_folder

        return ForeignEncoder(open_folder(self.path, self.attention), self.length, self.pool)

    @classmethod
    def exports(cls):
        return {"transformers": EXPORTS["transformers"]}

    @classmethod
    def example(cls, folder, make_data):
        from maskwright.step import Step
        from maskwright_text.exporting import to_transformers
        from maskwright_text.params_models import Mlm

        made = Mlm(encoder=TextEncoder.example()).build()
        made.encoder.codec.fit(example_texts(make_data), Step())
        to_transformers(made, folder / "model")
        return cls(path=folder / "model", length=16)

    @classmethod
    def example_data(cls, make_data):
        return example_texts(make_data)
