"""Tokenizers in files: a `tokenizer.json`, a folder of transformers, an old BERT `vocab.txt`."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from maskwright.errors import UserError

FILE = "tokenizer.json"
PAD, UNK, CLS, SEP, MASK = "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"
NAMES: Mapping[str, tuple[str, ...]] = {
    "pad": (PAD, "<pad>"),
    "unk": (UNK, "<unk>"),
    "cls": (CLS, "<s>"),
    "sep": (SEP, "</s>"),
    "mask": (MASK, "<mask>"),
}
"""Role -> what BERT-like and RoBERTa-like tokenizers call it."""


@attrs.frozen
class Specials:
    """Ids of the tokens that stand for no text."""

    pad: int
    unk: int
    cls: int
    sep: int
    mask: int
    all: tuple[int, ...]


def read_tokenizer(path: Path) -> Tokenizer:
    """A `tokenizer.json`; UserError when it is missing or damaged.

    Padding and truncation that were saved with it are switched off: batches are padded here, and know what is padding.
    """
    try:
        made = Tokenizer.from_str(path.read_text(encoding="utf-8"))
        made.no_padding()
        made.no_truncation()
        return made
    except FileNotFoundError:
        raise UserError(f"{path} is missing", where=str(path), cure="check the folder") from None
    except Exception as error:  # tokenizers raises bare Exceptions
        raise UserError(
            f"{path} is no tokenizer that can be read",
            where=str(path),
            why=str(error).splitlines()[0][:200],
            cure="a tokenizer.json as the tokenizers library writes it",
        ) from None


def find_tokenizer(path: Path, cure: str) -> tuple[Tokenizer, Path]:
    if path.is_file():
        return read_tokenizer(path), path.parent
    if (path / FILE).is_file():
        return read_tokenizer(path / FILE), path
    if (path / "vocab.txt").is_file():
        return _from_vocabulary(path), path
    raise UserError(
        f"no tokenizer at {path}",
        where="codec:tokenizer, setting path",
        why="there is neither tokenizer.json nor vocab.txt",
        cure=cure,
    )


_BERT_LIKE = (
    "Bert", "DistilBert", "Electra", "MobileBert", "ConvBert", "SqueezeBert", "LayoutLM", "Lxmert",
    "PreTrained",
)  # fmt: skip
"""Whose tokenizers read a vocab.txt as BERT's does; PreTrained is the name of any, and says nothing."""


def _from_vocabulary(folder: Path) -> Tokenizer:
    """An old BERT folder: a list of word pieces."""
    config = _json(folder / "tokenizer_config.json")
    _refuse_other_kinds(folder, config)
    # Not splitlines(): some pieces are marks that it takes for ends of lines, and all ids after them would shift.
    words = _text(folder / "vocab.txt").removesuffix("\n").split("\n")
    ids = {word: number for number, word in enumerate(words)}
    missing = [name for name in (UNK, CLS, SEP) if name not in ids]
    if missing:
        raise UserError(
            f"vocab.txt lacks {', '.join(missing)}",
            where=str(folder / "vocab.txt"),
            cure="the vocabulary of a BERT model",
        )
    made = Tokenizer(models.WordPiece(vocab=ids, unk_token=UNK))
    accents = config.get("strip_accents")
    made.normalizer = normalizers.BertNormalizer(
        lowercase=bool(config.get("do_lower_case", True)),
        strip_accents=None if accents is None else bool(accents),  # None: where letters are made lower case
        handle_chinese_chars=bool(config.get("tokenize_chinese_chars", True)),
    )
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    made.add_special_tokens([name for name in (PAD, UNK, CLS, SEP, MASK) if name in ids])
    made.post_processor = processors.BertProcessing((SEP, ids[SEP]), (CLS, ids[CLS]))
    return made


def _refuse_other_kinds(folder: Path, config: Mapping[str, Any]) -> None:
    """UserError where the folder names a tokenizer that cuts texts otherwise."""
    kind = str(config.get("tokenizer_class") or _json(folder / "config.json").get("tokenizer_class") or "")
    if kind and kind.removesuffix("Fast").removesuffix("Tokenizer") not in _BERT_LIKE:
        raise UserError(
            f"the vocab.txt in {folder} belongs to a {kind}",
            where=f"{folder}, tokenizer_class",
            why="it cuts texts otherwise than BERT's tokenizer, so that the model would read other tokens",
            cure="a tokenizer.json: transformers writes it where it has a fast one, "
            'AutoTokenizer.from_pretrained("FOLDER").save_pretrained("FOLDER")',
        )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")  # a line ends in \n, whatever it ended in
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8", where=str(path), why=str(error), cure="copy or fetch it again"
        ) from None


def specials_of(tokenizer: Tokenizer, folder: Path) -> Specials:
    """Ids of the special tokens: as the folder's configuration names them, else by their usual names."""
    named = _json(folder / "special_tokens_map.json") | _json(folder / "tokenizer_config.json")
    found: dict[str, int] = {}
    for role, usual in NAMES.items():
        own = named.get(f"{role}_token")
        own = own.get("content") if isinstance(own, dict) else own
        ids = [tokenizer.token_to_id(name) for name in ((own, *usual) if own else usual)]
        known = [number for number in ids if number is not None]
        if known:
            found[role] = known[0]
        elif role in ("mask", "sep", "cls"):
            raise UserError(
                f"the tokenizer has no {role} token",
                where=f"{folder}, {role}_token of tokenizer_config.json",
                why=f"none of {', '.join(usual)} is in its vocabulary",
                cure="the tokenizer of a masked language model, such as BERT's or RoBERTa's; or "
                f'add_tokens=["{usual[0]}"], which a model has to learn',
            )
    found.setdefault("unk", found["mask"])  # byte-level tokenizers know everything
    found.setdefault("pad", found["sep"])
    added = tokenizer.get_added_tokens_decoder()
    others = [number for number, token in added.items() if token.special]
    return Specials(**found, all=tuple(sorted({*found.values(), *others})))


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(
            f"{path} is no sound JSON", where=str(path), why=str(error), cure="copy or save it again"
        ) from None
    return found if isinstance(found, dict) else {}
