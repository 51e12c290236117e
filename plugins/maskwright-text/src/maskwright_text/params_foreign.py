"""Settings of the encoder whose network and weights transformers wrote. Imports nothing heavy."""

from pathlib import Path
from typing import Literal

from maskwright.errors import UserError
from maskwright.params import params, setting
from maskwright_text.foreign_config import read_folder
from maskwright_text.params_models import ADD_TOKENS, EXPORTS, SHAPE_HELP, TextEncoder, example_texts


@params
class HfText:
    """A masked language model from a folder that transformers wrote: BERT, RoBERTa, ELECTRA, ModernBERT and alike."""

    path: Path = setting(help="folder with config.json, weights and tokenizer; a run of it needs it too")
    length: int = setting(128, ge=3, help="most tokens of a text, special ones too; longer texts are cut")
    pool: Literal["mean", "first"] = setting(
        "mean", help="the pooled vector: mean of the tokens' states, or the state of the first token"
    )
    add_tokens: list[str] = setting([], help=f"{ADD_TOKENS}. Each gets a new row of the table")
    new_rows: bool = setting(
        False, help="new rows for all tokens that the tokenizer has and the table has not; false: an error"
    )
    attention: Literal["sdpa", "eager"] = setting(
        "sdpa", help="sdpa: torch's fused kernels; eager: step by step, slower"
    )
    shape: list[list[int]] = setting([], ge=0, help=SHAPE_HELP)

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

        opened = open_folder(self.path, self.attention, new_rows=self.new_rows, add_tokens=self.add_tokens)
        made = ForeignEncoder(opened, self.length, self.pool)
        return made.with_shape(self.shape) if self.shape else made

    @classmethod
    def exports(cls):
        return {name: EXPORTS[name] for name in ("transformers", "transformers-zero-filled")}

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
