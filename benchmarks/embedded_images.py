"""What the embedded pictures and tables are worth: counts and simple baselines beside the values they should have.

    python benchmarks/embedded_images.py [--only glyphs digits ...]

Each line: measured, expected, difference. MISS: a count that is not equal, or a score more than 0.02 away. Scores on
glyphs carry their standard error over characters (bootstrap): a few hundred held-out characters decide them. Scores
that depend on drawn rows carry the deviation over draws. How the expected values were measured is told in words only:
ink centring and class weights were chosen among a few readings so as to come near, so agreement of the rows of part
`tasks` says less than agreement elsewhere. Everything is a function of the seeds below;
versions of matplotlib, Pillow and the Unicode tables may move counts, so they are printed too.
"""

import argparse
import platform
import time
from collections import Counter
from importlib.metadata import version

import numpy as np
from scipy.stats import spearmanr
from sklearn.covariance import ledoit_wolf
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.neighbors import KNeighborsClassifier

from maskwright.step import Step
from maskwright_samples.digits import DigitData
from maskwright_samples.glyph_labels import known_words, letters_of
from maskwright_samples.glyph_shapes import FACES, SANS, TEXT_FACES
from maskwright_samples.glyph_table import depends_on, draw_face, glyph_table
from maskwright_samples.glyphs import GlyphData
from maskwright_samples.photos import PhotoData
from maskwright_samples.tables import SOURCES, pooled_deviation

STEP = Step(seed=0)
CLOSE = 0.02
outcomes: Counter[str] = Counter()


def noise(*name: str | int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=STEP.fork(*name).stream("benchmark")))


def report(what: str, measured: float, expected: float, error: float | None = None) -> None:
    """`expected` an int: a count, to be met exactly. `error`: standard error of `measured`."""
    difference = measured - expected
    count = isinstance(expected, int)
    if difference == 0 or (not count and abs(difference) <= CLOSE + 1e-9):
        outcome = "reproduced"
    elif error is not None and abs(difference) <= 2 * error:
        outcome = "missed, by less than two standard errors"
    else:
        outcome = "missed"
    outcomes[outcome] += 1
    show = (
        f"{measured:>9,d}{expected:>9,d}{difference:>+9,d}"
        if count
        else f"{measured:>9.3f}{expected:>9.3f}{difference:>+9.3f}"
    )
    note = "" if error is None else f"  s.e. {error:.3f}"
    print(f"{what:<66}{show}  {'' if outcome == 'reproduced' else 'MISS':<4}{note}".rstrip(), flush=True)


def arrays(data, split: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pixels (n, pixels) in [0, 1], labels (n,), character or other group of each item (n,)."""
    items = [data.item(split, index, STEP) for index in range(data.length(split))]
    pixels = np.stack([item["pixels"] for item in items]).reshape(len(items), -1) / 255
    return (
        pixels,
        np.array([item.get("label", -1) for item in items]),
        np.array([i["id"].split("/")[0] for i in items]),
    )


def glyphs() -> None:
    drawn = {face: draw_face(face, "line") for face in FACES}
    report("images, 16 faces", sum(map(len, drawn.values())), 52572)
    named = [set(drawn[face]) for face in TEXT_FACES]
    report("characters in any of the 12 text faces", len(set.union(*named)), 6492)
    report("characters in all of them", len(set.intersection(*named)), 2296)
    table = glyph_table("line")
    near = table.face < len(TEXT_FACES)
    report("shapes", len(table.shapes), 2114)
    report("images of shapes, 12 faces", int(near.sum()), 25368)
    report("of these distinct", len({picture.tobytes() for picture in table.pixels[near]}), 20640)
    report("STIX images", int((~near).sum()), 3183)
    report("STIX shapes", len(set(table.shape[~near].tolist())), 1041)
    letters = letters_of(table.shapes)
    report("letters", len(letters), 1111)
    report("letters WITH something", sum(" WITH " in s.caption for s in letters), 799)
    report(
        "letters with two marks", sum(" WITH " in s.caption and " AND " in s.caption for s in letters), 199
    )
    held = [shape for shape in table.shapes if shape.hash < 20]
    words = known_words(table.shapes)
    report("held-out characters", len(held), 407)
    report("held out, no word unseen", sum(words.issuperset(s.caption.split()) for s in held), 361)
    report("held-out letters as classes", len(GlyphData(task="identity").about("train")["classes"]), 206)
    for frame, face_share in (("line", 0.129), ("box", 0.156)):
        pictures = Counter(p.tobytes() for p in draw_face("DejaVuSans", frame).values())
        twice = sum(count for count in pictures.values() if count > 1) / pictures.total()
        report(f"DejaVuSans images equal to another character's, frame {frame}", twice, face_share)
    equal = {SANS.index("DejaVuSans-Oblique"): 0.247, SANS.index("DejaVuSans-Bold"): 0.13}
    upright = table.pixels[table.face == SANS.index("DejaVuSans")]
    for face, share in equal.items():
        same = (table.pixels[table.face == face] == upright).all(axis=(1, 2)).mean()
        report(f"{FACES[face]} images equal to DejaVuSans", same, share)
    sans = {picture.tobytes() for picture in table.pixels[table.face < len(SANS)]}
    serif = table.pixels[(table.face >= len(SANS)) & near]
    report("serif images equal to a sans or mono image", np.mean([p.tobytes() in sans for p in serif]), 0.159)
    for frame, side, share in (("line", 4, 0.75), ("line", 8, 0.61), ("box", 4, 0.43), ("box", 8, 0.26)):
        pixels = glyph_table(frame).pixels
        black = ~pixels[glyph_table(frame).face < len(TEXT_FACES)].reshape(
            -1, 32 // side, side, 32 // side, side
        ).any((2, 4))
        report(f"black patches of {side}x{side}, frame {frame}", black.mean(), share)


TASK_ROWS = {  # task: (LR, 3-NN) on held characters in seen faces, serif faces, STIX
    "script": ((0.53, 0.65), (0.44, 0.61), (0.27, 0.39)),
    "case": ((0.98, 0.97), (0.97, 0.97), (0.78, 0.95)),
    "base-letter": ((0.91, 0.89), (0.84, 0.87), (0.54, 0.56)),
    "mark": ((0.46, 0.08), (0.37, 0.13), (0.10, 0.07)),
    "any-mark": ((0.77, 0.72), (0.76, 0.73), (0.61, 0.64)),
    "stroke": ((0.63, 0.53), (0.58, 0.51), (0.54, 0.49)),
}
MAJORITY = {"script": 0.63, "case": 0.54, "base-letter": 0.05, "mark": 0.09, "any-mark": 0.74, "stroke": 0.96}


def tasks() -> None:
    """PCA of 100 dimensions on train and validation pictures, then logistic regression and 3 nearest neighbours.

    Classes are weighted as if equally frequent, as macro-F1 counts them.
    """
    for task, expected in TASK_ROWS.items():
        data = GlyphData(task=task)
        pixels, labels = (
            np.concatenate(a)
            for a in zip(*(arrays(data, s)[:2] for s in ("train", "validation")), strict=True)
        )
        pca = PCA(100, random_state=0).fit(pixels)
        features = pca.transform(pixels)
        logistic = LogisticRegression(class_weight="balanced", max_iter=2000)
        models = [model.fit(features, labels) for model in (logistic, KNeighborsClassifier(3))]
        most = Counter(labels.tolist()).most_common(1)[0][0]
        for split, scores in zip(("test", "test-serif", "test-far"), expected, strict=True):
            pixels, truth, characters = arrays(data, split)
            if split == "test":
                report(f"{task}: majority class, test", (truth == most).mean(), MAJORITY[task])
            for model, name, score in zip(models, ("LR", "3-NN"), scores, strict=True):
                guess = model.predict(pca.transform(pixels))
                error = over_characters(truth, guess, characters)
                report(
                    f"{task}: macro-F1 {name}, {split}", f1_score(truth, guess, average="macro"), score, error
                )


def over_characters(truth: np.ndarray, guess: np.ndarray, characters: np.ndarray, times: int = 100) -> float:
    """Standard error of macro-F1 when other characters had been held out: whole characters are drawn again."""
    places = [np.flatnonzero(characters == c) for c in np.unique(characters)]
    draw = noise("bootstrap")
    samples = (
        np.concatenate([places[i] for i in draw.integers(len(places), size=len(places))])
        for _ in range(times)
    )
    return float(np.std([f1_score(truth[rows], guess[rows], average="macro") for rows in samples], ddof=1))


def identity() -> None:
    """1-NN on pixels: which of the 206 held letters; one shot is DejaVuSans.

    The expected values are those of 200 letters that were not recorded.
    """
    data = GlyphData(task="identity")
    pixels, labels, _ = arrays(data, "train")
    faces = np.array([data.item("train", i, STEP)["face"] for i in range(data.length("train"))])
    for split, one, eight in (("test-serif", 0.65, 0.85), ("test-far", 0.43, 0.68)):
        test, truth, _ = arrays(data, split)
        for shots, rows, expected in ((1, faces == "DejaVuSans", one), (8, faces != "", eight)):
            guess = labels[rows][nearest(pixels[rows], test, np.ones(test.shape, bool))]
            report(f"identity: 1-NN, shots {shots}, {split}", float((guess == truth).mean()), expected)


def mae(patch: int = 4, ratio: float = 0.75) -> None:
    """Squared error on hidden patches of what needs no learning; pixels in [0, 1], box frame."""
    data = GlyphData(frame="box")
    train = np.concatenate([arrays(data, split)[0] for split in ("train", "validation")]).astype(np.float32)
    rows = {"test": (0.180, 0.106, 0.058), "test-serif": (0.159, 0.102, 0.086)}
    for split, expected in rows.items():
        test = arrays(data, split)[0].astype(np.float32)
        grid = 32 // patch
        order = noise("mask", split).random((len(test), grid * grid)).argsort(axis=1).argsort(axis=1)
        patches = (order < round(ratio * grid * grid)).reshape(-1, grid, grid)
        hidden = patches.repeat(patch, axis=1).repeat(patch, axis=2).reshape(len(test), -1)
        guesses = {
            "zeros": np.zeros_like(test),
            "mean image": train.mean(axis=0),
            "nearest train image": train[nearest(train, test, ~hidden)],
        }
        for (name, guess), value in zip(guesses.items(), expected, strict=True):
            report(f"MAE: {name}, {split}", float(((guess - test) ** 2)[hidden].mean()), value)


def nearest(train: np.ndarray, test: np.ndarray, visible: np.ndarray, block: int = 500) -> np.ndarray:
    """Index of the train image nearest on each test image's visible pixels; all arguments (n, pixels)."""
    seen, square = visible.astype(train.dtype), (train**2).T
    blocks = (slice(start, start + block) for start in range(0, len(test), block))
    return np.concatenate(
        [(seen[b] @ square - 2 * (seen[b] * test[b]) @ train.T).argmin(axis=1) for b in blocks]
    )


def digits() -> None:
    data = DigitData()
    (train, labels, _), (test, truth, _) = arrays(data, "train"), arrays(data, "test")
    report("digits", len(train) + len(test), 1797)
    report(
        "digits, file order: LR",
        LogisticRegression(max_iter=1000).fit(train, labels).score(test, truth),
        0.916,
    )
    pixels, everything = np.concatenate([train, test]), np.concatenate([labels, truth])
    for name, model, shots, value in (
        ("LR", LogisticRegression(max_iter=1000), None, 0.978),
        ("1-NN", KNeighborsClassifier(1), None, 0.992),
        ("LR", LogisticRegression(max_iter=1000), 10, 0.908),
        ("1-NN", KNeighborsClassifier(1), 1, 0.636),
    ):
        scores = []
        for draw in range(10):
            order = noise("digits", draw).permutation(len(pixels))
            third, rest = order[: len(order) // 3], order[len(order) // 3 :]
            few = np.concatenate([rest[everything[rest] == k][:shots] for k in range(10)])
            scores.append(model.fit(pixels[few], everything[few]).score(pixels[third], everything[third]))
        what = f"digits, random third: {name}, {shots or 'all'} per class, mean of 10"
        # The expected value is one draw: what it may differ by is the deviation, not the error of the mean.
        report(what, float(np.mean(scores)), value, float(np.std(scores, ddof=1)))
    patches = pixels.reshape(-1, 4, 2, 4, 2)
    report("digits: constant patches of 2x2", float((np.ptp(patches, axis=(2, 4)) == 0).mean()), 0.27)


def photos() -> None:
    data = PhotoData()
    means = {}
    for split in data.splits():
        pixels, labels, _ = arrays(data, split)
        means[split] = pixels.reshape(len(pixels), -1, 3).mean(axis=1), labels
    model = LogisticRegression(max_iter=1000).fit(*means["train"])
    report("photos: which one, LR on colour means", model.score(*means["test"]), 0.77)


NLL = {
    10: (18.58, 18.83, 18.40),
    20: (17.54, 18.22, 17.65),
}  # separate, pooled, half-half; nats per row, wine


def tables() -> None:
    for name, ratio, least, largest in (
        ("wine-by-class", 6_400_000, 0.31, 2.33),
        ("iris-by-species", 16, 0.16, 1.80),
    ):
        source = SOURCES[name][0]()
        data, labels = source.data, source.target
        spread = data.var(axis=0)
        found = float(f"{spread.max() / spread.min():.2g}")
        report(f"{name}: variance ratio max/min, two digits", int(found), ratio)
        deviation = pooled_deviation(data, labels)
        groups = [(data[labels == k] - data[labels == k].mean(axis=0)) / deviation for k in range(3)]
        report(f"{name}: least within-class variance", min(g.var(axis=0).min() for g in groups), least)
        report(f"{name}: largest within-class variance", max(g.var(axis=0).max() for g in groups), largest)
        pairs = ((0, 1), (0, 2), (1, 2))
        upper = np.triu_indices(data.shape[1], 1)
        patterns = [np.corrcoef(group.T)[upper] for group in groups]
        alike = [np.corrcoef(patterns[a], patterns[b])[0, 1] for a, b in pairs]
        low, high = (0.21, 0.39) if name.startswith("wine") else (-0.34, 0.42)
        report(f"{name}: correlation patterns of two classes, least alike", min(alike), low)
        report(f"{name}: correlation patterns of two classes, most alike", max(alike), high)
        if name.startswith("wine"):
            orders = [
                spearmanr(data[labels == a].var(axis=0), data[labels == b].var(axis=0))[0] for a, b in pairs
            ]
            report(f"{name}: class orders of variances agree, lowest Spearman", min(orders), 0.93)
            report(f"{name}: class orders of variances agree, highest Spearman", max(orders), 0.97)
            shared(name, groups)


def shared(name: str, groups: list[np.ndarray]) -> None:
    """Does sharing a covariance between classes pay?"""
    for rows, expected in NLL.items():
        values = np.array([likelihoods(groups, rows, seed) for seed in range(20)])
        errors = values.std(axis=0, ddof=1) / np.sqrt(len(values))
        for column, way in enumerate(("separate", "pooled", "half-half")):
            what = f"{name}: NLL from {rows} rows per class, {way}"
            report(what, values[:, column].mean(), expected[column], errors[column])
        gain = values[:, 0] - values[:, 2]
        what = f"{name}: NLL from {rows} rows per class, separate - half-half"
        report(what, gain.mean(), expected[0] - expected[2], gain.std(ddof=1) / np.sqrt(len(gain)))


def likelihoods(groups: list[np.ndarray], rows: int, seed: int) -> list[float]:
    """Held-out Gaussian NLL in nats per row, mean over classes: Ledoit-Wolf per class, pooled, and their mean."""
    draw = noise("rows", rows, seed)
    orders = [draw.permutation(len(group)) for group in groups]
    train = [group[order[:rows]] for group, order in zip(groups, orders, strict=True)]
    test = [g[order[rows:]] - t.mean(axis=0) for g, order, t in zip(groups, orders, train, strict=True)]
    centred = [t - t.mean(axis=0) for t in train]
    separate = [ledoit_wolf(t, assume_centered=True)[0] for t in centred]
    pooled = ledoit_wolf(np.concatenate(centred), assume_centered=True)[0]

    def nll(covariances: list[np.ndarray]) -> float:
        losses = []
        for rows_left, covariance in zip(test, covariances, strict=True):
            fit = np.einsum("ij,jk,ik->i", rows_left, np.linalg.inv(covariance), rows_left)
            size = np.linalg.slogdet(2 * np.pi * covariance)[1]
            losses.append(0.5 * (fit.mean() + size))
        return float(np.mean(losses))

    return [nll(separate), nll([pooled] * len(test)), nll([(own + pooled) / 2 for own in separate])]


PARTS = {part.__name__: part for part in (glyphs, tasks, identity, mae, digits, photos, tables)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    chosen = parser.parse_args().only
    names = ("numpy", "scipy", "scikit-learn", "matplotlib", "pillow")
    print(f"Python {platform.python_version()},", ", ".join(f"{name} {version(name)}" for name in names))
    print({key: value for key, value in depends_on().items() if key != "fonts"})
    for name in chosen:
        start = time.process_time()
        print(f"\n{name:<66} measured expected difference")
        PARTS[name]()
        print(f"({time.process_time() - start:.0f} s CPU)")
    print("\n" + ", ".join(f"{count} {outcome}" for outcome, count in outcomes.most_common()))


if __name__ == "__main__":
    main()
