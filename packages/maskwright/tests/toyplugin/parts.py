"""What the toys build."""

import hashlib
import json
import time
from pathlib import Path

from maskwright.contracts import Figure, Findings, items_of
from maskwright.errors import UserError
from maskwright.folder import write_atomic


def number_of(text, seed=0):
    """A number in [0, 1) made from a text."""
    return int.from_bytes(hashlib.sha256(f"{seed}:{text}".encode()).digest()[:4], "big") / 2**32


class LineData:
    def __init__(self, count, labels, path):
        self.labels = labels
        self.texts = [f"text number {i}" for i in range(count)]
        if path is not None:
            if not path.is_file():
                raise UserError(f"there is no file {path}", where=str(path), cure="give a text file")
            self.texts = path.read_text(encoding="utf-8").splitlines()

    def splits(self):
        return ("train", "test", "late")

    def length(self, split):
        return len(self.texts)

    def item(self, split, index, step):
        item = {"id": f"{split}-{index}", "text": f"{self.texts[index]} of {split}"}
        return item | ({"label": index % 2} if self.labels else {})

    def about(self, split):
        return {"classes": ["even", "odd"]}

    def fingerprint(self):
        return hashlib.sha256("\n".join(self.texts).encode()).hexdigest()


class PairData(LineData):
    def __init__(self, count):
        super().__init__(count, False, None)

    def item(self, split, index, step):
        return {"id": str(index), "query": f"q{index}", "document": self.texts[index]}


class HashEncoder:
    def __init__(self, width, seed):
        self.width, self.seed = width, seed

    def encode(self, text):
        return [number_of(text, f"{self.seed}-{i}") for i in range(self.width)]


class CountEncoder:
    def __init__(self, smallest):
        self.smallest, self.counts = smallest, None

    def fit(self, data, step):
        self.counts = {}
        for item in items_of(data, "train", step):
            for word in item["text"].split():
                self.counts[word] = self.counts.get(word, 0) + 1

    def save(self, folder):
        (folder / "counts.json").write_text(json.dumps(self.counts, sort_keys=True), encoding="utf-8")
        (folder / "more").mkdir()
        (folder / "more" / "size.txt").write_text(str(len(self.counts)), encoding="utf-8")

    def load(self, folder):
        self.counts = json.loads((folder / "counts.json").read_text(encoding="utf-8"))

    def encode(self, text):
        return [float(sum(self.counts.get(word, 0) for word in text.split()))]


def export_counts(part, out):
    write_atomic(out, json.dumps(part.counts, sort_keys=True).encode())


def import_counts(path, *, times: int = 1):
    from toyplugin.params import Counts

    part = CountEncoder(1)
    found = json.loads(path.read_text(encoding="utf-8"))
    part.counts = {name: count * times for name, count in found.items()} if times > 1 else found
    return Counts(smallest=1), part


class Objective:
    def __init__(self, encoder, ratio, speed):
        self.encoder, self.ratio, self.speed = encoder, ratio, speed
        self.weight = 0.0

    def advance(self, data, step):
        item = data.item("train", step.stream("order") % data.length("train"), step)
        text = item.get("text") or item["query"] + item["document"]
        target = self.ratio(step.progress) + 0.01 * self.encoder.encode(text)[0]
        self.weight += self.speed * (target - self.weight)
        return abs(target - self.weight)

    def save(self, folder):
        (folder / "weight.json").write_text(json.dumps(self.weight), encoding="utf-8")

    def load(self, folder):
        self.weight = json.loads((folder / "weight.json").read_text(encoding="utf-8"))


def import_loss(path):
    """A weight with the counts of an encoder: {"weight": 0.5, "counts": {"word": 3}}."""
    from toyplugin.params import Counts, Loss

    table = json.loads(path.read_text(encoding="utf-8"))
    part = Objective(CountEncoder(1), None, 0.5)
    part.weight, part.encoder.counts = table["weight"], table["counts"]
    return Loss(encoder=Counts(smallest=1)), part


class ScoreEvaluator:
    def __init__(self, bonus, note, title):
        self.metrics = {"score": "max", "count": "max"}
        self.bonus, self.note, self.title = bonus, note, title

    def evaluate(self, subject, data, step):
        encoder = getattr(subject, "encoder", subject)
        rows = [
            {"id": item["id"], "text": item["text"], "score": encoder.encode(item["text"])[0] + self.bonus}
            for item in items_of(data, "test", step)
        ]
        mean = sum(row["score"] for row in rows) / len(rows)
        return Findings(
            {"score": mean, "count": len(rows)},
            rows=rows,
            tables={self.title: rows[:2]},
            figures=lambda: [
                Figure(self.title, self.note or "a dot", b"<svg xmlns='http://www.w3.org/2000/svg'/>")
            ],
            files={f"{self.title}.txt": b"kept"},
            notes=[self.note] if self.note else [],
        )


class VectorEvaluator:
    def __init__(self):
        self.metrics = {"vectors": "max"}

    def evaluate(self, subject, data, step):
        results = list(subject(items_of(data, "test", step), step))
        return Findings({"vectors": float(sum("vector" in item for item in results))})


class EmbedPipeline:
    def __init__(self, encoder, scale):
        self.encoder, self.scale = encoder, scale

    def __call__(self, items, step):
        for item in items:
            yield {**item, "vector": [self.scale * x for x in self.encoder.encode(item["text"])]}


class ShoutPipeline:
    def __init__(self, mark):
        self.mark = mark

    def __call__(self, items, step):
        for item in items:
            yield {**item, "loud": item["text"].upper() + self.mark}

    def write(self, item, path):
        write_atomic(path, item["loud"].encode())


class TrainRecipe:
    """Logs, evaluates, keeps artefacts and checkpoints, then evaluates once more after the last checkpoint."""

    def __init__(self, params):
        self.params = params

    def run(self, run):
        params, objective = self.params, self.params.objective
        run.fit_parts(params.data)
        latest = run.latest()
        start = 0
        if latest is not None:
            start = latest.number
            objective.weight = json.loads(latest.read("state.json"))["weight"]
        run.progress.begin(params.steps, start, "steps")
        for number in range(start, params.steps):
            step = run.step(number, params.steps)
            time.sleep(params.pause)
            loss = objective.advance(params.data, step) + params.offset
            done = number + 1
            run.log(done, {"train/loss": loss, "train/weight": objective.weight, **params.values})
            run.evaluate(
                [e for e in params.evaluators if e.every and done % e.every == 0 and done < params.steps],
                params.data,
                run.step(done, params.steps),
            )
            run.artefact(f"weights/{done}.txt", repr(objective.weight).encode())
            if done % params.every == 0:
                run.checkpoint(
                    done,
                    {
                        "state.json": json.dumps({"weight": objective.weight}).encode(),
                        "history.bin": lambda path: path.write_bytes(bytes(200)),
                    },
                )
            run.progress.advance(done)
        run.evaluate(params.evaluators, params.data, run.step(params.steps, params.steps))


def restore_weight(run, part, at, built):
    from maskwright.checkpoints import all_checkpoints, latest_checkpoint

    if not isinstance(built, Objective):
        return
    folder = Path(run) / "checkpoints"
    found = latest_checkpoint(folder)
    if at not in ("last", "best"):
        found = next((c for c in all_checkpoints(folder) if str(c.number) == at), None)
    if found is None:
        raise UserError(
            f'{run} has no checkpoint for "{part}" at {at}', where=str(folder), cure="train it first"
        )
    built.weight = json.loads(found.read("state.json"))["weight"]
