"""The vocabulary of composition: fields of raw data, capabilities that pass upwards, caveats that always rise.

A tag that no check can test is not admitted here. Other packages add their own as `vendor:tag`.
"""

FIELDS: dict[str, str] = {
    "id": "str: identity of the item within its data set",
    "text": "str: a piece of text",
    "other": "str: the second text of a pair",
    "options": "list[str]: texts to choose from; `label` is the index of the right one",
    "label": "int: index into about()['classes'], or of the right option",
    "query": "str: what is searched for",
    "document": "str: what is searched in",
    "relevant": "dict[str, int]: document id -> gain",
    "question": "str: a question about the item",
    "answer": "str: the answer to it",
    "summary": "str: a short form of `text`",
    "tags": "list[(int, int, str)]: character spans of `text` with a Universal POS tag each, rising",
    "name": "str: what the item is called",
    "caption": "str: words that describe a picture",
    "aliases": "list[str]: further captions that count as right",
    "face": "str: the font a glyph is drawn in",
    "pixels": "uint8 or uint16 array (H, W, C)",
    "waveform": "float32 array (channels, time) in [-1, 1]",
    "samples": "float64 array (rows, variables): one table",
    "variables": "tuple[str, ...]: column names of `samples`",
    "task": "str: which table, subject or condition the item belongs to",
    "truth": "float64 array (p, p): true edge weights, column j lists the parents of j",
    "intervened": "bool array (p,): variables set from outside in this task",
    "vector": "float array (D,), or a sparse row: an embedding",
}
"""Field name -> type and shape. Open: data sets may bring further fields."""

CAPABILITIES: dict[str, str] = {
    "torch": "built parts are torch modules; tensor contracts apply",
    "fitted": "has fit(data, step), save(folder), load(folder); fit -> save -> load gives the same output",
    "by-id": "the data set has find(split, id)",
    "patches": "units are patches of a picture: space.values numbers each, on a grid (H, W)",
    "tokens": "units are tokens of a text: space.vocabulary and mask_id, batch entries tokens, real, special, word",
    "vocabulary": "has table (V, E), make_head() -> head(states, table) -> logits, and states_at(batch, hidden, index)",
    "takes:attention": "has attended(tokens, position, attend) -> states: any tokens, seeing what attend says",
    "prunable": "has prunable(), compact(kept), widened() and shape: heads and neurons that can be removed",
    "pooled": "encodes an item as one vector of pooled_width numbers",
    "hides:drop": "hidden units never enter the encoder; states are those of the visible ones",
    "hides:replace": "hidden units enter as a learned token; states are those of all positions",
    "fills": "has fill(batch, hidden, step) -> Filled and fields(...) for items: predicts what is hidden",
    "classifies": "gives class scores for items: what pipeline:label and evaluator:accuracy need",
    "generates": "has generate(items, step), which writes a text for each, and target_losses(items, step)",
    "graphs": "has coef_ (K, p, p), order_ and graphs_: one acyclic graph for each task, one common order",
    "follows-ratio": "a ratio of 0 hides nothing and 1 hides all that may be hidden",
    "many-runs": "the recipe starts child runs, each in a folder of its own",
}
"""Pass from a part to what holds it only through a slot with `inherit=True`."""

CAVEATS: dict[str, str] = {
    "stateful": "the result is not a function of parameters, batch and step alone",
    "whole-batch": "the loss of a batch is not the sum over its rows",
    "per-row": "gives a value of its own to each row of a batch",
    "inexact-count": "the number hidden may differ from floor(ratio * valid + 0.5)",
    "no-double-backward": "second derivatives are not available",
    "partial-gradient": "a pass may leave some of the trained parameters without gradient",
}
"""Rise from every slot to the recipe; a slot may refuse them."""


def caveats_of(tags: frozenset[str]) -> frozenset[str]:
    """The caveats among `tags`."""
    return tags & CAVEATS.keys()
