"""dataset:tagged — the items of another data set with a Universal POS tag for each word.

Texts are tagged once, when the data set is built, and the tags are kept; see `tag_cache`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from maskwright.contracts import Dataset, plain
from maskwright.progress import PlainProgress
from maskwright.step import Step
from maskwright_text.tag_cache import Shard, cache_folder, load_shard, save_shard
from maskwright_text.taggers import TAGGERS, Tag, Tagger
from maskwright_text.text_data import digest
from maskwright_text.upos import UPOS
from maskwright_text.word_offsets import VERSION as WORDS_VERSION
from maskwright_text.word_offsets import word_offsets

VERSION = 1
"""Goes up when the same tagger would lead to other tags."""

SHARD = 4096
"""Texts of one kept file: a tagging that is stopped loses these at most."""

_LISTED = 5
_SECONDS = 5.0  # between two lines that tell how far it is
_NUMBERS = {tag: number for number, tag in enumerate(UPOS)}


class Tagged:
    """The items of `inner`, without augmentation, with `tags`: (start, end, tag) for each word, in characters."""

    def __init__(self, inner: Dataset, tagger: str, model: str) -> None:
        self._inner, kind = plain(inner), TAGGERS[tagger]
        made_by = [VERSION, WORDS_VERSION, tagger, model, kind.version(model)]
        self._fingerprint = digest(["tagged", self._inner.fingerprint(), made_by])
        folder = cache_folder() / f"tags-{self._fingerprint[:16]}"
        work = _Tagging(self._inner, kind, model, folder)
        self._shards = {}
        for number, split in enumerate(self._inner.splits()):
            self._shards[split] = work.split(split, number)
        self._tags = {split: np.concatenate([s.tags for s in found]) for split, found in self._shards.items()}
        counts = {split: np.concatenate([s.counts for s in found]) for split, found in self._shards.items()}
        self._firsts = {split: np.concatenate([[0], np.cumsum(found)]) for split, found in counts.items()}
        self._notices = {split: _notices(found) for split, found in self._shards.items()}
        del self._shards  # its arrays are in the joined ones

    def splits(self) -> tuple[str, ...]:
        return self._inner.splits()

    def length(self, split: str) -> int:
        return self._inner.length(split)

    def item(self, split: str, index: int, step: Step) -> Mapping[str, Any]:
        item = self._inner.item(split, index, step)
        first, after = (int(edge) for edge in self._firsts[split][index : index + 2])
        numbers = self._tags[split][first:after].tolist()
        spans = word_offsets(item["text"])
        return {**item, "tags": [(*span, UPOS[n]) for span, n in zip(spans, numbers, strict=True)]}

    def about(self, split: str) -> Mapping[str, Any]:
        about = dict(self._inner.about(split))
        return about | {"notices": [*about.get("notices", ()), *self._notices[split]]}

    def fingerprint(self) -> str:
        """sha256 of the inner data and of what the tags were made by."""
        return self._fingerprint


class _Tagging:
    """One pass over all texts of which no tags are kept."""

    def __init__(self, data: Dataset, kind: Tagger, model: str, folder: Path) -> None:
        self.data, self.kind, self.model, self.folder = data, kind, model, folder
        self.tag: Tag | None = None
        self.keeps = True

    def split(self, split: str, number: int) -> list[Shard]:
        """The shards of a split, at least one; `number` tells the splits apart in the names of files."""
        total, found, progress = self.data.length(split), [], PlainProgress(_SECONDS)
        progress.begin(total, what=f"tagging {split}")
        for first in range(0, max(total, 1), SHARD):
            texts = range(first, min(first + SHARD, total))
            path = self.folder / f"{number}-{first // SHARD:06d}.npz"
            shard = load_shard(path, len(texts))
            if shard is None:
                shard = self._shard(split, texts)
                self.keeps = self.keeps and save_shard(path, shard)
                if texts.stop < total:
                    progress.advance(texts.stop)
            found.append(shard)
        return found

    def _shard(self, split: str, texts: Sequence[int]) -> Shard:
        if self.tag is None:
            self.tag = self.kind.load(self.model)
        numbers, counts, misfits = [], [], []
        strange: Counter[str] = Counter()
        for place in texts:
            item = self.data.item(split, place, Step())
            spans = word_offsets(item["text"])
            words = [item["text"][start:end] for start, end in spans]
            tags = list(self.tag(words)) if words else []
            counts.append(len(words))
            if len(tags) != len(words):
                at = spans[len(tags)][0] if len(tags) < len(spans) else len(item["text"])
                misfits.append(f"{item['id']} ({len(tags)} tags for {len(words)} words, from character {at})")
                numbers += [_NUMBERS["X"]] * len(words)
                continue
            for word, tag in zip(words, tags, strict=True):
                universal = self.kind.universal(tag, word)
                strange[tag] += universal is None
                numbers.append(_NUMBERS[universal or "X"])
        found = {tag: count for tag, count in sorted(strange.items()) if count}
        return Shard(np.array(numbers, dtype=np.uint8), np.array(counts, dtype=np.int64), found, misfits)


def _notices(shards: Sequence[Shard]) -> list[str]:
    strange: Counter[str] = Counter()
    for shard in shards:
        strange.update(shard.strange)
    misfits = [text for shard in shards for text in shard.misfits]
    notices = []
    if strange:
        most = ", ".join(f"{tag} {count}" for tag, count in strange.most_common(_LISTED))
        notices.append(f"{strange.total()} words have a tag that is none of the 17, they count as X: {most}")
    if misfits:
        more = f" and {len(misfits) - _LISTED} more" if len(misfits) > _LISTED else ""
        shown = "; ".join(misfits[:_LISTED])
        notices.append(f"texts that got another number of tags than words count as X: {shown}{more}")
    return notices
