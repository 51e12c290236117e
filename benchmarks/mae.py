"""Speed of masked autoencoders: against transformers, against mask tokens, and of the input.

    python benchmarks/mae.py                      # everything, about seven minutes; needs vision and transformers
    python benchmarks/mae.py --only step tokens   # some of: step, tokens, input

Variants of one comparison take turns in one process, two threads, medians. Seconds depend on the machine and on what
else it does; ratios hold better.
Results go to benchmarks/results/mae.json.
"""

import argparse
import copy
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from timing import THREADS, alternate, keep, ratios, show

from maskwright import Step
from maskwright_torch.noise import uniform
from maskwright_vision.params_data import Augmented, ImageFolder
from maskwright_vision.params_models import Mae, Vit, VitFull

SIZES = {
    "64 px / 8, 192 x 6, decoder 96 x 2, batch 32": (64, 8, 192, 6, 3, 96, 2, 3, 32),
    "ViT-S/16, 224 px, decoder 192 x 4, batch 4": (224, 16, 384, 12, 6, 192, 4, 6, 4),
}
"""image, patch, width, depth, heads, decoder width, depth and heads, batch"""


def ours(size: tuple[int, ...], full: bool = False) -> Any:
    image, patch, width, depth, heads, decoder, layers, decoder_heads, _ = size
    encoder = (VitFull if full else Vit)(
        image=image, patch=patch, channels=3, width=width, depth=depth, heads=heads
    )
    return Mae(
        encoder=encoder, decoder_width=decoder, decoder_depth=layers, decoder_heads=decoder_heads
    ).build()


def pictures(count: int, image: int) -> torch.Tensor:
    """Noise, smoothed so that patches have structure; normalised."""
    noise = uniform(1, torch.arange(count * 3 * image), image).float().view(count, 3, image, image)
    smooth = torch.nn.functional.avg_pool2d(noise, 5, 1, 2)
    return (smooth - smooth.mean()) / smooth.std()


# -- against transformers ------------------------------------------------------------------------------------


def peer_like(built: Any, size: tuple[int, ...]) -> Any:
    """transformers' model with our weights, written by our own exporter."""
    from transformers import ViTMAEForPreTraining

    from maskwright_vision.exporting import to_transformers

    with tempfile.TemporaryDirectory() as folder:
        to_transformers(built, Path(folder) / "model")
        return ViTMAEForPreTraining.from_pretrained(Path(folder) / "model").train()


def step_against_peer(size: tuple[int, ...], repeats: int) -> dict[str, Any]:
    """Forward, backward and optimiser; first that both compute the same loss and gradient."""
    image, patch, batch = size[0], size[1], size[-1]
    mine = ours(size)
    peer = peer_like(mine, size)
    x, rows = pictures(batch, image), torch.arange(batch)
    noise = uniform(3, rows, (image // patch) ** 2).float()
    order = noise.argsort(dim=1).argsort(dim=1)
    count = (image // patch) ** 2
    hidden = order >= count - round(count * 0.75)
    found, wanted = mine.loss({"pixels": x, "rows": rows}, hidden).value, peer(x, noise=noise).loss
    found.backward()
    wanted.backward()
    gradients = (
        mine.encoder.blocks[0].attn.qkv.weight.grad,
        torch.cat([layer_weight(peer, name).grad for name in ("query", "key", "value")]),
    )
    same = {
        "loss difference": abs(found.item() - wanted.item()) / wanted.item(),
        "gradient difference": float((gradients[0] - gradients[1]).norm() / gradients[1].norm()),
    }

    def trainer(model: Any, loss: Callable[[], torch.Tensor], **options: Any) -> Callable[[], None]:
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, **options)

        def step() -> None:
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()

        return step

    numbers = iter(range(10**9))
    twin = copy.deepcopy(peer)
    variants = {
        "ours": trainer(
            mine, lambda: mine({"pixels": x, "rows": rows}, Step(0, next(numbers), 10**6)).value, fused=True
        ),
        "transformers, fused AdamW": trainer(peer, lambda: peer(x).loss, fused=True),
        "transformers, AdamW as torch makes it": trainer(twin, lambda: twin(x).loss),
    }
    wall = alternate(variants, repeats, time.perf_counter)
    torch.set_num_threads(1)
    cpu = alternate(variants, max(repeats // 3, 4), time.process_time)
    torch.set_num_threads(THREADS)
    return {"same": same, "milliseconds": wall, "ratio": ratios(wall), "one thread, CPU": ratios(cpu)}


def layer_weight(peer: Any, name: str) -> torch.nn.Parameter:
    """Of the first encoder block; releases of transformers spell the path differently."""
    (found,) = (
        p
        for key, p in peer.named_parameters()
        if ".0." in key
        and key.startswith("vit.")
        and key.endswith((f"{name}.weight", f"{name[0]}_proj.weight"))
    )
    return found


# -- visible only against mask tokens ------------------------------------------------------------------------


def flops_of(size: tuple[int, ...], tokens: int) -> float:
    """Forward FLOPs of a picture: 24 n d^2 + 4 n^2 d for each block (n tokens, width d)."""
    image, patch, width, depth, _, decoder, layers, _, _ = size
    everything = (image // patch) ** 2 + 1

    def block(n: int, d: int) -> float:
        return 24 * n * d**2 + 4 * n**2 * d

    return depth * block(tokens, width) + layers * block(everything, decoder)


def visible_against_full(size: tuple[int, ...], repeats: int) -> dict[str, Any]:
    image, patch, batch = size[0], size[1], size[-1]
    count = (image // patch) ** 2
    x, rows = pictures(batch, image), torch.arange(batch)
    numbers = iter(range(10**9))

    def step(full: bool) -> Callable[[], None]:
        model = ours(size, full)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)

        def run() -> None:
            optimiser.zero_grad()
            model({"pixels": x, "rows": rows}, Step(0, next(numbers), 10**6)).value.backward()
            optimiser.step()

        return run

    times = alternate({"visible only": step(False), "mask tokens": step(True)}, repeats, time.perf_counter)
    flops = flops_of(size, count + 1) / flops_of(size, count - round(count * 0.75) + 1)
    speed = times["mask tokens"] / times["visible only"]
    return {
        "milliseconds": times,
        "ratio": round(speed, 2),
        "FLOP ratio": round(flops, 2),
        "share": round(speed / flops, 2),
    }


# -- the input pipeline --------------------------------------------------------------------------------------


def write_photographs(folder: Path, count: int) -> None:
    """JPEGs of 500 x 375, cut from the photographs that scikit-learn brings."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    photos = [load_sample_image(name) for name in ("china.jpg", "flower.jpg")]
    draws = uniform(5, torch.arange(count), 3).numpy()
    for number, (which, top, left) in enumerate(draws):
        photo = photos[int(which * 2)]
        y, x = int(top * (photo.shape[0] - 375)), int(left * (photo.shape[1] - 500))
        target = folder / ("ab"[number % 2])
        target.mkdir(exist_ok=True)
        Image.fromarray(photo[y : y + 375, x : x + 500]).save(target / f"{number:03d}.jpg", quality=90)


def input_share(repeats: int) -> dict[str, Any]:
    """Decode, crop at random, resize to 224, normalise: against a training step of ViT-S/16."""
    size = SIZES["ViT-S/16, 224 px, decoder 192 x 4, batch 4"]
    model = ours(size)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    with tempfile.TemporaryDirectory() as name:
        os.environ["MASKWRIGHT_CACHE"] = name
        write_photographs(Path(name), 40)
        data = Augmented(
            inner=ImageFolder(path=Path(name), channels=3, test_share=0.0), crop="random"
        ).build()
        count = data.length("train")
        numbers = iter(range(10**9))
        made: dict[str, Any] = {}

        def read() -> None:
            number = next(numbers)
            step = Step(0, number, 10**6)
            items = [data.item("train", (4 * number + i) % count, step.fork(i)) for i in range(4)]
            made["batch"] = {**model.prepare(items, step), "rows": torch.arange(4)}

        def train() -> None:
            optimiser.zero_grad()
            model(made["batch"], Step(0, next(numbers), 10**6)).value.backward()
            optimiser.step()

        times = alternate({"input": read, "step": train}, repeats, time.perf_counter)
    return {"milliseconds": times, "share of a step": round(times["input"] / times["step"], 3)}


# -- all of it -----------------------------------------------------------------------------------------------


def sections(wanted: Iterable[str], quick: bool) -> dict[str, Any]:
    repeats = 4 if quick else 15
    results: dict[str, Any] = {}

    def add(name: str, title: str, make: Callable[[], dict[str, Any]]) -> None:
        if name in wanted:
            results[title] = make()
            show(title, results[title])

    for label, size in SIZES.items():
        add("step", f"training step, {label}", lambda size=size: step_against_peer(size, repeats))
    for label, size in SIZES.items():
        add(
            "tokens",
            f"visible only, {label}",
            lambda size=size: visible_against_full(size, max(repeats // 2, 4)),
        )
    add("input", "input of ViT-S/16 from JPEGs of 500 x 375", lambda: input_share(repeats))
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    names = ["step", "tokens", "input"]
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--quick", action="store_true", help="few repeats, to see that it works")
    options = parser.parse_args()
    torch.set_num_threads(THREADS)
    results = sections(options.only, options.quick)
    if not options.quick:
        keep("mae", results)
    return 0


if __name__ == "__main__":
    sys.exit(main())
