"""encoder:text, encoder:hf-text and objectives on them as folders of transformers, or as UniLM 2 has its weights.

An exporter gets a part and a path. What the other program cannot express is refused, in words.
"""

import itertools
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors.torch import save_file
from torch import Tensor

from maskwright.errors import UserError
from maskwright.folder import write_folder
from maskwright_text.bert_names import POSITIONS, from_ours
from maskwright_text.codecs import FILE, TextCodec
from maskwright_text.foreign import ForeignEncoder
from maskwright_text.foreign_config import ARCHITECTURES, CONFIG
from maskwright_text.foreign_folders import quiet
from maskwright_text.foreign_heads import put_head
from maskwright_text.kept_tokenizer import ROLES, plain_tokenizer
from maskwright_text.notices import note
from maskwright_text.pruned_heads import WHOLE, shrunk
from maskwright_text.transformer import TextTransformer
from maskwright_text.unilm_weights import write_names
from maskwright_text.vocabulary import VocabularyHead
from maskwright_torch.part import State, seeded
from maskwright_torch.prunable import whole_encoder

WEIGHTS = "model.safetensors"
MODELS = {
    False: ("bert", "bert.", "BertForMaskedLM", "BertModel"),
    True: (
        "roberta-prelayernorm", "roberta_prelayernorm.", "RobertaPreLayerNormForMaskedLM",
        "RobertaPreLayerNormModel",
    ),
}  # fmt: skip
"""By pre_norm: model type, prefix of the network beside a head, class with and without the head."""


def to_transformers(part: Any, out: Path) -> None:
    """A folder that AutoModelForMaskedLM and AutoTokenizer open, or AutoModel where the part is an encoder."""
    encoder, head = _taken_apart(part)
    if isinstance(encoder, ForeignEncoder):
        _foreign_to_transformers(encoder, head, out)
        return
    ours = _network(encoder)
    if ours.relative is not None:
        raise _cannot("none of its models of this shape has a bias for relative positions", "--to unilm")
    kind, prefix, whole, bare = MODELS[encoder.pre_norm]
    config = {"architectures": [bare if head is None else whole], "model_type": kind, **ours.config}
    network = dict(ours.tensors)
    if encoder.pre_norm:
        # RoBERTa counts positions from the padding token's id + 1 on; the rows before are never read.
        before = encoder.codec.specials.pad + 1
        table = network[POSITIONS]
        network[POSITIONS] = torch.cat([table.new_zeros(before, table.shape[1]), table])
        config["max_position_embeddings"] = len(network[POSITIONS])
    if head is not None:
        network = {f"{prefix}{name}": tensor for name, tensor in network.items()}
        names = ARCHITECTURES[kind].head
        tensors = _plain(head)
        network[names.bias] = tensors.pop("bias")
        network |= {f"{getattr(names, n.split('.')[0])}.{n.split('.')[1]}": t for n, t in tensors.items()}

    def fill(folder: Path) -> None:
        _write_json(folder / CONFIG, config)
        save_file(network, str(folder / WEIGHTS), {"format": "pt"})
        write_tokenizer(encoder.codec, folder, encoder.prepare.length)

    write_folder(out, fill)


def to_transformers_zero_filled(part: Any, out: Path) -> None:
    """As `to_transformers`, with zeros in place of heads and neurons that were removed."""
    with whole_encoder(part) as whole:
        to_transformers(whole, out)


def to_unilm(part: Any, out: Path) -> None:
    """A folder with the names of UniLM 2: pytorch_model.bin, config.json, vocab.txt."""
    encoder, head = _taken_apart(part)
    if not isinstance(encoder, TextTransformer):
        raise _cannot("it is for encoder:text", "--to transformers")
    if encoder.pre_norm:
        raise _cannot("UniLM has its norms after each part, this encoder before", "--to transformers")
    ours = _network(encoder)
    reach = 0 if encoder.relative is None else encoder.relative.reach
    bins = 0 if encoder.relative is None else encoder.relative.buckets
    config = {**ours.config, "rel_pos_bins": bins, "max_rel_pos": reach}
    state = write_names(ours.tensors, {} if head is None else _plain(head), ours.relative)

    def fill(folder: Path) -> None:
        _write_json(folder / CONFIG, config)
        torch.save(state, folder / "pytorch_model.bin")
        write_tokenizer(encoder.codec, folder, encoder.prepare.length)
        _write_vocabulary(encoder.codec, folder)

    write_folder(out, fill)


def write_tokenizer(codec: TextCodec, folder: Path, length: int, segmented: bool = True) -> None:
    """tokenizer.json, and what AutoTokenizer has to know beside it. `segmented`: the model tells segments apart."""
    made = plain_tokenizer(codec)
    names = {f"{role}_token": made.id_to_token(getattr(codec.specials, role)) for role in ROLES}
    (folder / FILE).write_text(made.to_str(pretty=True), encoding="utf-8")
    inputs = ["input_ids", *(["token_type_ids"] if segmented else []), "attention_mask"]
    table = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": length,
        "model_input_names": inputs,
        "clean_up_tokenization_spaces": False,
        **names,
    }
    _write_json(folder / "tokenizer_config.json", table)


def _write_vocabulary(codec: TextCodec, folder: Path) -> None:
    """vocab.txt, where the tokenizer is one of word pieces."""
    if json.loads(codec.tokenizer.to_str())["model"]["type"] != "WordPiece":
        note("its scripts read a vocab.txt of word pieces, this tokenizer has none; tokenizer.json is there")
        return
    words = codec.tokenizer.get_vocab(with_added_tokens=True)
    names = {number: word for word, number in words.items()}
    # The line is the id: one that no token has gets a name that none has.
    free = (name for count in itertools.count() if (name := f"[unused{count}]") not in words)
    lines = [names.get(number) or next(free) for number in range(codec.known)]
    (folder / "vocab.txt").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def _foreign_to_transformers(encoder: ForeignEncoder, head: VocabularyHead | None, out: Path) -> None:
    """The folder's own model with today's weights, and with our head in its place."""
    from transformers import AutoModel, AutoModelForMaskedLM

    auto = AutoModel if head is None else AutoModelForMaskedLM
    with quiet():
        if encoder.kept is None:
            model = seeded(0, lambda: auto.from_config(encoder.model.config))
        else:
            model = seeded(0, lambda: shrunk(encoder, auto.from_config))
    model.base_model.load_state_dict(_plain(encoder.model), strict=False)
    if head is not None:
        put_head(encoder.config, model, head)

    def fill(folder: Path) -> None:
        with quiet():
            model.save_pretrained(folder)
        write_tokenizer(encoder.codec, folder, encoder.config.longest, encoder.segmented)

    write_folder(out, fill)


def _taken_apart(part: Any) -> tuple[Any, VocabularyHead | None]:
    """Encoder, and the head where the part is an objective with one."""
    encoder = getattr(part, "encoder", part)
    head = getattr(part, "head", None) if encoder is not part else None
    if not isinstance(encoder, TextTransformer | ForeignEncoder):
        raise _cannot(f"it is for our encoders of text, not for {type(encoder).__name__}", "another format")
    return encoder, head if isinstance(head, VocabularyHead) else None


@attrs.frozen(eq=False)
class _Network:
    """An encoder:text by BERT's names."""

    config: dict[str, Any]
    tensors: State
    relative: Tensor | None
    """(heads, buckets)"""


def _network(encoder: TextTransformer) -> _Network:
    sizes = {
        (block.attn.heads, block.mlp.fc1.out_features, *block.attn.qkv.weight.shape)
        for block in encoder.blocks
    }
    heads, hidden, rows, columns = next(iter(sizes))
    if len(sizes) != 1 or rows != 3 * columns or not hidden:
        raise _cannot(f"there blocks are alike and whole, here [heads, neurons] are {encoder.shape}", WHOLE)
    state = _plain(encoder)
    relative = state.pop("relative.table.weight", None)
    config = {
        "dtype": "float32",
        "vocab_size": encoder.space.vocabulary,
        "hidden_size": encoder.width,
        "num_hidden_layers": encoder.depth,
        "num_attention_heads": heads,
        "intermediate_size": hidden,
        "max_position_embeddings": encoder.positions.num_embeddings,
        "type_vocab_size": encoder.segments.num_embeddings,
        "layer_norm_eps": encoder.eps,
        "hidden_act": "gelu",
        "hidden_dropout_prob": encoder.drop.p,
        "attention_probs_dropout_prob": encoder.drop.p,
        "initializer_range": 0.02,
        "pad_token_id": encoder.codec.specials.pad,
        "tie_word_embeddings": True,
    }
    tensors = from_ours(state, encoder.depth, encoder.pre_norm)
    return _Network(config, tensors, None if relative is None else relative.t().contiguous())


def _plain(module: torch.nn.Module) -> State:
    """Its weights in float32 on the CPU, none a view of another."""
    return {name: tensor.detach().cpu().float().clone() for name, tensor in module.state_dict().items()}


def _write_json(path: Path, table: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(table, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _cannot(why: str, cure: str) -> UserError:
    return UserError("this part cannot be written in that format", why=why, cure=cure)
