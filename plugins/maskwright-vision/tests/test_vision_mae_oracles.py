"""What must hold exactly of a masked autoencoder: no leak, no order, the loss by hand, limits of the ratio."""

import attrs
import pytest
import torch
from torch import Tensor

from maskwright import Step, UserError
from maskwright.errors import RecipeError
from maskwright_torch.contracts import Batch
from maskwright_torch.masking import positions_of, take
from maskwright_torch.noise import uniform
from maskwright_torch.part import seeded
from maskwright_vision.mae import Mae as BuiltMae
from maskwright_vision.params_models import Mae, Vit, VitFull
from maskwright_vision.patch_targets import EPS, Normalised
from maskwright_vision.pictures import patchify

STEP = Step(seed=1, number=2, total=10)
COUNT = 24
"""Patches: 4 x 6 of 4 x 4 pixels, 3 channels."""


def batch(rows: int = 3) -> dict[str, Tensor]:
    noise = uniform(1, torch.arange(rows * 3 * 16), 24)
    return {"pixels": (noise * 4 - 2).view(rows, 3, 16, 24), "rows": torch.arange(rows)}


def vit(full: bool = False, **settings: object) -> Vit:
    small = {"image": [16, 24], "patch": 4, "channels": 3, "width": 24, "depth": 3, "heads": 3} | settings
    return (VitFull if full else Vit)(**small)


def mae(encoder: Vit | None = None, **settings: object) -> BuiltMae:
    small = {"decoder_width": 16, "decoder_depth": 2, "decoder_heads": 2} | settings
    built = Mae(encoder=encoder or vit(), **small).build(seed=3)
    # Tokens and biases begin near zero; noise everywhere makes a leak visible.
    with torch.no_grad():
        for number, parameter in enumerate(built.parameters()):
            noise = uniform(number, torch.arange(parameter.numel()), 1).view(parameter.shape)
            parameter += 0.2 * (noise - 0.5)
    return built.double().eval()


def hidden_of(built: BuiltMae, made: Batch, share: float = 0.75) -> Tensor:
    noise = uniform(77, made["rows"], COUNT)
    return noise.argsort(dim=1).argsort(dim=1) >= COUNT - round(COUNT * share)


def predictions(built: BuiltMae, made: Batch, hidden: Tensor) -> Tensor:
    return built.decode(*built.encode(made, hidden))


def test_visible_only_equals_attention_that_never_reads_hidden_patches():
    built = mae()
    encoder, made = built.encoder, batch()
    hidden = hidden_of(built, made)
    short = encoder(made, hidden)
    x, _ = encoder.embedded(made)
    may_read = torch.cat([torch.ones(3, 1, dtype=torch.bool), ~hidden], dim=1)[:, None, None, :]
    for block in encoder.blocks:
        x = block(x, may_read)
    long = encoder.norm(x)[:, 1:]
    assert torch.allclose(short.states, take(long, positions_of(~hidden)), atol=1e-12)
    assert torch.allclose(short.prefix, encoder.norm(x)[:, :1], atol=1e-12)


@pytest.mark.parametrize("full", [False, True])
def test_no_leak_from_hidden_pixels(full: bool):
    """The gradient of every prediction for every hidden pixel is 0, and changing such pixels changes no bit."""
    built = mae(vit(full))
    made = batch()
    hidden = hidden_of(built, made)
    made["pixels"].requires_grad_()
    found = predictions(built, made, hidden)
    weights = uniform(5, torch.arange(found.numel()), 1).view(found.shape)
    (gradient,) = torch.autograd.grad((found * weights).sum(), made["pixels"])
    by_patch = patchify(gradient, 4).abs().sum(dim=-1)
    assert float(by_patch[hidden].max()) == 0.0
    assert float(by_patch[~hidden].min()) > 0.0
    disturbed = patchify(made["pixels"].detach(), 4) + 9.0 * hidden[..., None]
    from maskwright_vision.pictures import unpatchify

    other = {**made, "pixels": unpatchify(disturbed, 4, (4, 6))}
    assert torch.equal(predictions(built, other, hidden), found)


def test_the_loss_ignores_predictions_at_visible_patches():
    """With the loss on all patches every prediction has a gradient, with the loss on hidden ones no other is made."""
    built, made = mae(), batch()
    hidden = hidden_of(built, made)
    _, wanted = built.encode(made, hidden)
    assert torch.equal(wanted, positions_of(hidden, "hidden"))
    whole = mae(loss_on="all")
    whole.load_state_dict(built.state_dict())
    everything = predictions(whole, made, hidden).detach().requires_grad_()
    assert everything.shape[1] == COUNT
    errors = whole.target.errors(everything, whole.target.of(whole.encoder.targets(made)))
    hand = (errors * hidden).sum() / hidden.sum()
    (gradient,) = torch.autograd.grad(hand, everything)
    assert float(gradient[~hidden].abs().max()) == 0.0
    loss = built.loss(made, hidden).value
    assert torch.allclose(loss, hand, atol=1e-12), "hidden-only computes the same loss"


def test_predictions_for_hidden_patches_do_not_depend_on_which_loss_is_asked():
    built, whole, made = mae(), mae(loss_on="all"), batch()
    hidden = hidden_of(built, made)
    everything = predictions(whole, made, hidden)
    assert torch.allclose(
        predictions(built, made, hidden), take(everything, positions_of(hidden)), atol=1e-12
    )


def test_the_order_of_kept_tokens_does_not_matter():
    built, made = mae(), batch()
    hidden = hidden_of(built, made)
    encoded, wanted = built.encode(made, hidden)
    shuffle = uniform(4, made["rows"], encoded.index.shape[1]).argsort(dim=1)
    from maskwright_torch.contracts import Encoded

    shuffled = Encoded(
        take(encoded.states, shuffle),
        encoded.index.gather(1, shuffle),
        encoded.valid,
        encoded.pooled,
        encoded.prefix,
    )
    assert torch.allclose(built.decode(shuffled, wanted), built.decode(encoded, wanted), atol=1e-12)


def test_gathering_before_embedding_equals_embedding_before_gathering():
    built, made = mae(), batch()
    hidden = hidden_of(built, made)
    some, index = built.encoder.embedded(made, hidden)
    every, _ = built.encoder.embedded(made)
    assert torch.allclose(some[:, 1:], take(every[:, 1:], index), atol=1e-12)
    assert torch.equal(some[:, :1], every[:, :1])


def test_the_order_of_patches_and_kept_counts():
    built, made = mae(), batch()
    for number in range(20):
        loss = built(made, STEP.at(number))
        assert float(loss.parts["hidden"]) == 0.75
        assert float(loss.terms["loss"].count) == 3 * 18


# -- targets ---------------------------------------------------------------------------------------------------


def test_the_raw_pixel_loss_by_hand():
    built, made = mae(target="pixels"), batch()
    hidden = hidden_of(built, made)
    predicted = predictions(built, made, hidden)
    truth = take(patchify(made["pixels"], 4), positions_of(hidden))
    assert torch.allclose(built.loss(made, hidden).value, (predicted - truth).pow(2).mean(), atol=1e-12)


def test_predicting_each_patchs_mean_scores_its_biased_variance():
    built, made = mae(target="pixels"), batch()
    truth = take(patchify(made["pixels"], 4), positions_of(hidden_of(built, made)))
    means = truth.mean(dim=-1, keepdim=True).expand_as(truth)
    found = built.target.errors(means, truth).mean()
    assert torch.allclose(found, truth.var(dim=-1, correction=0).mean(), atol=1e-12)


def test_normalised_targets():
    target = Normalised(48)
    patches = patchify(batch()["pixels"], 4)
    found = target.of(patches)
    scale = 3.0 + uniform(3, torch.arange(72), 1).view(3, 24, 1)
    assert torch.allclose(target.of(patches * scale + 5.0), found, atol=1e-5), (
        "brightness and contrast do not count"
    )
    assert torch.allclose(found.mean(dim=-1), torch.zeros(3, 24, dtype=torch.float64), atol=1e-12)
    variance = patches.var(dim=-1)
    assert torch.allclose(found.var(dim=-1), variance / (variance + EPS), atol=1e-12)
    assert torch.allclose(target.pixels(found, patches), patches, atol=1e-12), "and back"
    zero = target.errors(torch.zeros_like(found), found)
    assert torch.allclose(zero, torch.full_like(zero, 47 / 48), atol=1e-5), (
        "predicting nothing scores (P - 1) / P"
    )


def test_a_constant_patch_has_target_zero_and_a_finite_loss():
    flat = {**batch(), "pixels": torch.full((3, 3, 16, 24), 0.7, dtype=torch.float64)}
    built = mae()
    assert float(Normalised(48).of(patchify(flat["pixels"], 4)).abs().max()) < 1e-9
    loss = built.loss(flat, hidden_of(built, flat)).value
    assert bool(loss.isfinite())
    loss.backward()
    assert all(bool(p.grad.isfinite().all()) for p in built.parameters() if p.grad is not None)


class Pictures:
    def splits(self):
        return ("train",)

    def length(self, split):
        return 40

    def item(self, split, index, step):
        noise = uniform(8, torch.arange(index * 16, index * 16 + 16), 72).view(16, 24, 3).clone()
        noise[:, :, 1] = noise[:, :, 0]  # so that some directions have no variance
        return {"id": str(index), "pixels": (noise * 255).to(torch.uint8).numpy()}

    def about(self, split):
        return {}


def test_principal_components_are_those_of_scikit_learn():
    from sklearn.decomposition import PCA

    built = mae(target="pca", components=8).float()
    data = Pictures()
    built.fit(data, Step())
    patches = torch.cat(
        [patchify(built.prepare([data.item("train", i, Step())], Step())["pixels"], 4)[0] for i in range(40)]
    )
    reference = PCA(8, svd_solver="full").fit(patches.double().numpy())
    basis = built.target.basis.double()
    agreement = (basis.T @ torch.from_numpy(reference.components_.T)).abs()
    assert torch.allclose(agreement, torch.eye(8, dtype=torch.float64), atol=1e-3)
    codes = built.target.of(patches)
    assert torch.allclose(codes.var(dim=0), torch.ones(8), atol=0.01)
    kept = reference.inverse_transform(reference.transform(patches.double().numpy()))
    assert torch.allclose(built.target.pixels(codes, patches).double(), torch.from_numpy(kept), atol=1e-4)


def test_tokens_are_the_nearest_centres_and_lloyd_lowers_the_distance(monkeypatch: pytest.MonkeyPatch):
    data = Pictures()

    def fitted(rounds: int) -> BuiltMae:
        monkeypatch.setattr("maskwright_vision.patch_targets.ROUNDS", rounds)
        built = mae(target="tokens", vocabulary=12).float()
        built.fit(data, Step())
        return built

    built = fitted(20)
    items = [data.item("train", i, Step()) for i in range(40)]
    patches = patchify(built.prepare(items, Step())["pixels"], 4)
    tokens = built.target.of(patches)
    distances = (patches[..., None, :] - built.target.centres).square().sum(dim=-1)
    assert torch.equal(tokens, distances.argmin(dim=-1))

    def spread(rounds: int) -> float:
        centres = fitted(rounds).target.centres.expand(40, -1, -1)
        return float(torch.cdist(patches, centres).amin(dim=-1).square().mean())

    means = [spread(0), spread(1), spread(20)]
    assert means[0] > means[1] > means[2]
    one = patches[:1]
    loss = built.loss({"pixels": patches_to_pixels(one), "rows": torch.arange(1)}, torch.arange(24)[None] > 5)
    assert bool(loss.value.isfinite())


def patches_to_pixels(patches: Tensor) -> Tensor:
    from maskwright_vision.pictures import unpatchify

    return unpatchify(patches, 4, (4, 6))


def test_too_many_components_or_clusters_are_refused():
    with pytest.raises(UserError, match="a patch of 48 numbers has no 60 components"):
        Mae(encoder=vit(), target="pca", components=60).build()
    built = mae(target="tokens", vocabulary=5000).float()
    with pytest.raises(UserError, match="too few for 5000 clusters"):
        built.fit(Pictures(), Step())


# -- limits ----------------------------------------------------------------------------------------------------


def test_hiding_nothing_with_the_loss_on_all_is_a_plain_autoencoder():
    built, made = mae(loss_on="all", ratio=0.0, target="pixels"), batch()
    loss = built(made, STEP)
    encoded = built.encoder(made)
    assert encoded.index.shape[1] == COUNT
    everything = torch.arange(COUNT).expand(3, -1)
    by_hand = (built.decode(encoded, everything) - patchify(made["pixels"], 4)).square().mean()
    assert torch.allclose(loss.value, by_hand, atol=1e-12)


@pytest.mark.parametrize(
    ("ratio", "text"), [(0.0, "no patch is hidden"), (0.01, "no patch"), (1.0, "every patch is")]
)
def test_nothing_hidden_or_nothing_kept_is_refused(ratio: float, text: str):
    with pytest.raises(UserError, match=text) as caught:
        mae(ratio=ratio)(batch(), STEP)
    assert "of 24 patches are hidden" in caught.value.why
    assert caught.value.where == "ratio" and caught.value.cure


def test_the_control_sees_every_position_and_costs_no_decoder_tokens():
    built, made = mae(vit(full=True)), batch()
    hidden = hidden_of(built, made)
    encoded, _ = built.encode(made, hidden)
    assert encoded.states.shape == (3, COUNT, 24)
    assert predictions(built, made, hidden).shape == (3, 18, 48)


def test_a_decoder_without_blocks_reads_the_mask_tokens_of_the_control():
    built, made = mae(vit(full=True), decoder_depth=0), batch()
    hidden = hidden_of(built, made)
    wanted = positions_of(hidden)
    states = built.decoder_embed(built.encoder(made, hidden).states) + built.decoder_pos_embed[:, 1:]
    by_hand = take(built.decoder_pred(built.decoder_norm(states)), wanted)
    assert torch.allclose(predictions(built, made, hidden), by_hand, atol=1e-12)


def test_without_decoder_blocks_visible_patches_would_not_be_read_at_all():
    with pytest.raises(RecipeError, match="1 problem") as caught:
        mae(decoder_depth=0)
    assert "know nothing of the visible patches" in str(caught.value)


def test_micro_batches_add_up_and_masks_belong_to_rows():
    built, made = mae(), batch(4)
    whole = built(made, STEP)
    halves = [built({name: t[part] for name, t in made.items()}, STEP) for part in (slice(0, 1), slice(1, 4))]
    assert torch.allclose(sum(h.terms["loss"].sum for h in halves), whole.terms["loss"].sum, atol=1e-10)
    built.zero_grad()
    whole.value.backward()
    once = [p.grad.clone() for p in built.parameters() if p.grad is not None]
    built.zero_grad()
    for half in halves:
        (half.terms["loss"].sum / whole.terms["loss"].count).backward()
    again = [p.grad for p in built.parameters() if p.grad is not None]
    assert all(torch.allclose(a, b, atol=1e-10) for a, b in zip(once, again, strict=True))


def test_visible_only_needs_the_share_of_the_work_that_the_formula_says():
    """24 n d^2 + 4 n^2 d for each block: counted, not timed."""
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    sizes = {"image": 64, "patch": 8, "channels": 3, "width": 48, "depth": 2, "heads": 3}
    x = {"pixels": torch.zeros(2, 3, 64, 64), "rows": torch.arange(2)}
    hidden = (torch.arange(64) >= 16).expand(2, -1)
    counted = []
    for make, tokens in ((Vit, 17), (VitFull, 65)):
        encoder = make(**sizes).build()
        # The counter does not know the fused kernel of CPUs.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            encoder(x, hidden)
        blocks = 2 * 2 * (24 * tokens * 48**2 + 4 * tokens**2 * 48)
        embedding = 2 * 2 * (tokens - 1) * 192 * 48
        counted.append(counter.get_total_flops() / (blocks + embedding))
    assert counted == [pytest.approx(1.0, abs=0.01)] * 2


def test_initial_weights():
    built = seeded(0, lambda: Mae(encoder=vit(), decoder_width=16, decoder_depth=1, decoder_heads=2).build())
    encoder = built.encoder
    for linear in (encoder.patch_embed, encoder.blocks[0].attn.qkv, built.decoder_pred, built.decoder_embed):
        fan_out, fan_in = linear.weight.shape
        limit = (6 / (fan_in + fan_out)) ** 0.5
        weight = linear.weight.detach()
        assert 0.9 * limit < float(weight.abs().max()) <= limit + 1e-6
        assert float(linear.bias.detach().abs().max()) == 0
    tokens = torch.cat([encoder.cls_token.flatten(), built.mask_token.flatten()]).detach()
    assert 0.01 < float(tokens.std()) < 0.03


def test_parts_of_one_seed_start_alike_whatever_is_around_them():
    """The encoder inside an objective starts as it would alone: baselines with random features compare the same."""
    one = Mae(encoder=vit(), decoder_width=16, decoder_depth=1, decoder_heads=2).build(seed=5)
    two = Mae(encoder=vit(), decoder_width=32, decoder_depth=3, decoder_heads=2).build(seed=5)
    other = Mae(encoder=vit(), decoder_width=16, decoder_depth=1, decoder_heads=2).build(seed=6)
    weight = one.encoder.blocks[1].mlp.fc1.weight
    assert torch.equal(weight, two.encoder.blocks[1].mlp.fc1.weight)
    assert not torch.equal(weight, other.encoder.blocks[1].mlp.fc1.weight)


def test_encoded_is_a_dataclass_for_data_parallelism():
    from maskwright_torch.contracts import Encoded

    assert not attrs.has(Encoded)


def test_a_larger_picture_takes_a_resampled_or_a_new_table():
    from maskwright_torch.part import load_state

    small = vit(positions="learned").build(seed=1)
    large = vit(positions="learned", image=[32, 24]).build(seed=2)
    load_state(large, small.state_dict(), "")
    from maskwright_vision.positions import resample_table

    wanted = resample_table(small.pos_embed[0].detach(), (4, 6), (8, 6))
    assert torch.equal(large.pos_embed[0].detach(), wanted)
    assert torch.equal(large.blocks[0].attn.qkv.weight, small.blocks[0].attn.qkv.weight)
    fixed = vit(image=[32, 24]).build(seed=3)
    table = fixed.pos_embed.clone()
    load_state(fixed, vit().build(seed=1).state_dict(), "")
    assert torch.equal(fixed.pos_embed, table), "a fixed table is made for its own grid"
