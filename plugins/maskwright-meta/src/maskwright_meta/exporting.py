"""objective:meta for other programs: the heads of its tasks. Encoders are exported by their own plugins.

heads/NAME.safetensors holds what belongs to one task alone; tasks.json says of each its classes and where it is, and
where the data of the run are still there, how many items it has and what its classes are called.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from maskwright.errors import UserError
from maskwright.folder import write_folder

TASKS = "tasks.json"


def to_heads(part: Any, out: Path, *, about: Mapping[str, Any] | None = None) -> None:
    """A folder with a file for each task that has weights of its own. `about`: what the data say of themselves."""
    heads = {name: head_tensors(objective) for name, objective in part.tasks.items()}
    if not any(heads.values()):
        raise UserError(
            "no task has weights beside its encoder",
            where=f"objective:meta, {', '.join(heads)}",
            cure="export the encoder: maskwright export RUN:objective.tasks.NAME.encoder",
        )

    def fill(folder: Path) -> None:
        (folder / "heads").mkdir()
        table = []
        for name, tensors in heads.items():
            entry: dict[str, Any] = {"name": name, "weights": sum(t.numel() for t in tensors.values())}
            classes = getattr(part.tasks[name], "classes", None)
            entry |= {"labels": classes} if classes is not None else {}
            if part.episodes.sampling == "weighted" and name in part.episodes.weights:
                entry["weight"] = part.episodes.weights[name]
            entry |= facts(about or {}, name)
            if tensors:
                entry["file"] = f"heads/{name}.safetensors"
                save_file(tensors, str(folder / entry["file"]))
            table.append(entry)
        (folder / TASKS).write_text(json.dumps(table, indent=1) + "\n", encoding="utf-8")

    write_folder(out, fill)


def facts(about: Mapping[str, Any], task: str) -> dict[str, Any]:
    """Items of a task and names of its classes, as far as the data tell."""
    sets = about.get("sets", {})
    own = sets.get(task, {}) if sets else about
    names = {"classes": list(own["classes"])} if "classes" in own else {}
    return ({"size": own["count"]} if "count" in own else {}) | names


def head_tensors(objective: Any) -> dict[str, Tensor]:
    """Name -> tensor of what is not the encoder's, tied tensors left to the encoder."""
    encoder = getattr(objective, "encoder", None)
    taken = set() if encoder is None else {id(t) for t in encoder.state_dict(keep_vars=True).values()}
    return {
        name: tensor.detach().cpu().contiguous().clone()
        for name, tensor in objective.state_dict(keep_vars=True).items()
        if id(tensor) not in taken
    }
