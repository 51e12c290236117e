"""Tiny files that blocks of documents speak of as the reader's own, and names of Python that stand for his data."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import block_rules

from maskwright import api

CLASSES = ("circle", "square", "star", "ring", "cross")
WORDS = [*"abcdefghijkl", "inverse", "matrix", "square", "sorted", "rows", "return", "their", "index"]


def picture(path: Path, number: int = 0) -> None:
    """A grey ramp with a bright square, 64 x 64 in colours; where the square is depends on the number."""
    from PIL import Image

    made = Image.linear_gradient("L").resize((64, 64))
    made.paste(255, (number % 4 * 16, number // 4 % 4 * 16, number % 4 * 16 + 16, number // 4 % 4 * 16 + 16))
    path.parent.mkdir(parents=True, exist_ok=True)
    made.convert("RGB").save(path)


def pictures(folder: Path) -> None:
    for number in range(4):
        picture(folder / f"{number}.png", number)


def labelled_pictures(folder: Path) -> None:
    """A folder for each class, in a folder for each split."""
    for split in ("train", "test"):
        for number, name in enumerate(CLASSES):
            for copy in range(6):
                picture(folder / split / name / f"{copy}.png", number + 5 * copy)


def sentences(count: int) -> Iterator[str]:
    return (
        " ".join(WORDS[(number * 7 + place * 3) % len(WORDS)] for place in range(12))
        for number in range(count)
    )


def lines(path: Path) -> None:
    path.write_text("\n".join(sentences(80)) + "\n")


def labelled_lines(path: Path) -> None:
    rows = [
        f"{line} {CLASSES[number % 5]},{CLASSES[number % 5]}" for number, line in enumerate(sentences(60))
    ]
    path.write_text("\n".join(["text,label", *rows]) + "\n")


def tasks(folder: Path) -> None:
    """Two labelled sets as JSON lines."""
    folder.mkdir()
    for name in ("first", "second"):
        rows = [{"text": line, "label": CLASSES[number % 2]} for number, line in enumerate(sentences(240))]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def numbers(count: int, columns: int, key: int) -> Any:
    """A table in which each column is the one before plus noise."""
    import numpy as np

    drawn = np.random.Generator(np.random.Philox(key=key)).normal(size=(count, columns))
    return drawn.cumsum(axis=1)


def tables(folder: Path) -> None:
    """A CSV file for each of three tasks."""
    folder.mkdir()
    for key in range(3):
        rows = [",".join(f"{value:.4f}" for value in row) for row in numbers(60, 4, key)]
        (folder / f"task{key}.csv").write_text("\n".join(["dose,protein,growth,size", *rows]) + "\n")


def run_of(command: str) -> Callable[[Path], None]:
    """A run folder, made small by the command that would make it, where the page's blocks are run."""

    def make(path: Path) -> None:
        words = [*command.split(), "--out", str(path), "--no-pictures", "--quiet"]
        if (code := block_rules.play(words).code) != 0:
            raise RuntimeError(f"{' '.join(words)} ended with {code}")

    return make


def finetuned(path: Path) -> None:
    """A classifier over the encoder of runs/pretrained, on train.csv; both are made where they are missing."""
    for name in ("train.csv", "runs/pretrained"):
        if not (place := path.parent.parent / name).exists():
            FILES[name](place)
    # Pruning refuses a teacher that knows no more than chance: two steps are too few here.
    settings = {
        "steps": 150,
        "batch": 16,
        "lr": 5e-3,
        "data": {"use": "csv", "path": "train.csv", "fields": {"text": "text", "label": "label"}},
        "objective": {"use": "classify", "classes": 5, "encoder": "runs/pretrained"},
    }
    api.run({"use": "train", **settings}, out=path, pictures=False)


def official_checkpoint(path: Path) -> None:
    """As the authors of MAE publish theirs: a checkpoint of a tiny run, written in their format."""
    place, tiles = path.parent / "runs/official", path.parent / "tiles"
    if not tiles.exists():
        labelled_pictures(tiles)
    run_of(
        f"maskwright run mae data=image-folder data.path={tiles} objective.encoder.channels=3 "
        "objective.encoder.image=64 objective.encoder.patch=8"
    )(place)
    words = ["maskwright", "export", str(place), str(path), "--to", "mae-official"]
    if (code := block_rules.play(words).code) != 0:
        raise RuntimeError(f"{' '.join(words)} ended with {code}")


def movement_folder(folder: Path) -> None:
    """A small BERT as movement pruning leaves it: beside each matrix of its blocks the scores of its weights."""
    from safetensors.torch import save_file
    from transformers import BertConfig, BertModel

    from maskwright_torch.part import seeded

    sizes: dict[str, Any] = {
        "vocab_size": 30,
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 24,
    }
    made = seeded(1, lambda: BertModel(BertConfig(**sizes)))
    state = {f"bert.{name}": tensor.clone() for name, tensor in made.state_dict().items()}
    for name in [name for name, tensor in state.items() if "encoder.layer" in name and tensor.ndim == 2]:
        state[name.replace("weight", "mask_scores")] = state[name].clone()
    folder.mkdir()
    settings = {**sizes, "model_type": "masked_bert", "pruning_method": "topK"}
    (folder / "config.json").write_text(json.dumps(settings))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(WORDS))]
    (folder / "vocab.txt").write_text("\n".join(words) + "\n")
    save_file(state, folder / "model.safetensors")


FILES: dict[str, Callable[[Path], None]] = {
    "photo.png": picture,
    "photo.jpg": picture,
    "folder/": pictures,
    "photos/": pictures,
    "tiles/": labelled_pictures,
    "labelled/": labelled_pictures,
    "texts.txt": lines,
    "labelled.csv": labelled_lines,
    "train.csv": labelled_lines,
    "test.csv": labelled_lines,
    "tasks/": tasks,
    "unseen/": tasks,
    "tables/": tables,
    "bert/": movement_folder,
    "mae_vit_base.pth": official_checkpoint,
    "runs/pretrained": run_of("maskwright run mlm objective.encoder.relative=0"),
    "runs/finetuned": finetuned,
}
"""What a block names -> how it is made. No block writes to a name that stands here."""


def named_in(text: str) -> list[str]:
    """The files that a block names, in the order of FILES."""
    return [name for name in FILES if re.search(rf"(?<![\w./-]){re.escape(name)}(?![\w-]|\.\w)", text)]


def names_of(page: str) -> dict[str, Any]:
    """Names that the Python blocks of a page use and leave to the reader."""
    if page == "README.md":
        import numpy as np

        return {"picture": np.zeros((32, 32, 1), dtype=np.uint8)}
    if page == "plugins/maskwright-causal/README.md":
        made = {f"table_{number}": numbers(60, 4, number) for number in (1, 2, 3)}
        return {**made, "names": ["dose", "protein", "growth", "size"]}
    return {}
