"""What MAE predicts of a patch: its pixels, its pixels normalised, principal components, or the nearest cluster."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from maskwright.errors import UserError
from maskwright.step import Step
from maskwright_torch.noise import permutation

EPS = 1e-6
"""Added to a patch's variance, so that a constant patch has target 0 and not 0/0."""

MOST_PATCHES = 50_000
"""Patches that clusters and components are fitted on."""

ROUNDS = 20
"""Of Lloyd's algorithm; patch clusters hardly move after that."""


class Target(nn.Module):
    """Raw pixels (B, R, P), and the base of the other targets."""

    notice = ""
    """What a picture made from predictions has to say about itself."""
    fit_pictures = 0

    def __init__(self, values: int) -> None:
        super().__init__()
        self.width = values

    def of(self, patches: Tensor) -> Tensor:
        """The target of each patch."""
        return patches

    def errors(self, predicted: Tensor, truth: Tensor) -> Tensor:
        """(B, R): the loss of each patch."""
        return (predicted - truth).square().mean(dim=-1)

    def pixels(self, predicted: Tensor, own: Tensor) -> Tensor:
        """Predictions as pixels; `own` are the true pixels of those patches."""
        return predicted

    def fit(self, patches: Tensor, step: Step) -> None: ...


def _moments(patches: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and unbiased deviation of each patch. In two passes: torch's `var` takes one, and ten times as long."""
    mean = patches.mean(dim=-1, keepdim=True)
    squares = (patches - mean).square().sum(dim=-1, keepdim=True)
    return mean, (squares / (patches.shape[-1] - 1) + EPS).sqrt()


class Normalised(Target):
    """Each patch with mean 0 and unbiased variance 1."""

    notice = "brightness and contrast of each patch are those of the hidden original: the model predicts structure only"

    def of(self, patches: Tensor) -> Tensor:
        mean, deviation = _moments(patches)
        return (patches - mean) / deviation

    def pixels(self, predicted: Tensor, own: Tensor) -> Tensor:
        mean, deviation = _moments(own)
        return predicted * deviation + mean


class Components(Target):
    """The largest principal components of patches, each scaled to unit variance."""

    fit_pictures = 4096

    def __init__(self, values: int, count: int) -> None:
        if count > values:
            raise UserError(f"a patch of {values} numbers has no {count} components", where="components")
        super().__init__(values)
        self.width = count
        self.register_buffer("mean", torch.zeros(values))
        self.register_buffer("basis", torch.zeros(values, count))
        self.register_buffer("scale", torch.ones(count))

    def of(self, patches: Tensor) -> Tensor:
        return ((patches - self.mean) @ self.basis) / self.scale

    def pixels(self, predicted: Tensor, own: Tensor) -> Tensor:
        return (predicted * self.scale) @ self.basis.T + self.mean

    def fit(self, patches: Tensor, step: Step) -> None:
        patches = _some(patches, step).double()
        mean = patches.mean(dim=0)
        centred = patches - mean
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(patches))
        basis = vectors.flip(1)[:, : self.width]
        # The sign of a component is free; the largest entry is made positive, so that it is the same each time.
        largest = basis.abs().argmax(dim=0, keepdim=True)
        basis = basis * basis.gather(0, largest).sign()
        self.mean.copy_(mean)
        self.basis.copy_(basis)
        self.scale.copy_((values.flip(0)[: self.width].clamp(min=0) + EPS).sqrt())


class Tokens(Target):
    """The nearest of a number of patch clusters (k-means): the discrete target, with cross entropy."""

    fit_pictures = 4096

    def __init__(self, values: int, count: int) -> None:
        super().__init__(values)
        self.width = count
        self.register_buffer("centres", torch.zeros(count, values))

    def of(self, patches: Tensor) -> Tensor:
        return torch.cdist(patches, self.centres.expand(len(patches), -1, -1)).argmin(dim=-1)

    def errors(self, predicted: Tensor, truth: Tensor) -> Tensor:
        return F.cross_entropy(predicted.flatten(0, 1), truth.flatten(), reduction="none").view(truth.shape)

    def pixels(self, predicted: Tensor, own: Tensor) -> Tensor:
        return self.centres[predicted.argmax(dim=-1)]

    def fit(self, patches: Tensor, step: Step) -> None:
        patches = _some(patches.unique(dim=0), step)
        if len(patches) < self.width:
            raise UserError(
                f"the data has {len(patches)} different patches, too few for {self.width} clusters",
                where="vocabulary",
                cure="a smaller vocabulary",
            )
        centres = patches[: self.width].clone()
        for _ in range(ROUNDS):
            nearest = torch.cdist(patches, centres).argmin(dim=1)
            counts = torch.bincount(nearest, minlength=self.width)
            sums = torch.zeros_like(centres).index_add_(0, nearest, patches)
            # A cluster that nobody is near stays where it was.
            centres = torch.where((counts > 0)[:, None], sums / counts.clamp(min=1)[:, None], centres)
        self.centres.copy_(centres)


def _some(patches: Tensor, step: Step) -> Tensor:
    """At most MOST_PATCHES of them, in a random order."""
    return patches[permutation(step.stream("patches"), len(patches))[:MOST_PATCHES]]


def make_target(
    name: Literal["pixels", "normalised", "pca", "tokens"], values: int, components: int, vocabulary: int
) -> Target:
    """The target by its name in the settings."""
    if name == "normalised" and values < 2:
        raise UserError(
            "a patch of one number has no deviation to be normalised by",
            where="target",
            cure='target = "pixels", or larger patches',
        )
    if name == "pca":
        return Components(values, components)
    if name == "tokens":
        return Tokens(values, vocabulary)
    return Normalised(values) if name == "normalised" else Target(values)
