"""dataset:image-folder — pictures in folders: train/, val/ and test/, classes, or all in one heap; or a zip of that."""

from collections.abc import Mapping, Sequence
from typing import Any

from maskwright.errors import UserError
from maskwright_vision.picture_data import Entry, PictureFiles
from maskwright_vision.picture_scan import Seen, listed, readable, refuse_mixed_channels, scan
from maskwright_vision.picture_sources import Source, open_source
from maskwright_vision.splitting import SPLIT_WORDS, arrange


def image_folder(settings: Any) -> PictureFiles:
    """The data set for `maskwright_vision.params_data.ImageFolder`."""
    source = open_source(settings.path)
    places, outside = split_folders(source.names)
    source.names = [name for name in source.names if name in places]
    good, bad, notices = usable(source, seen := scan(source), settings)
    if outside:
        notices.append(f"pictures outside the folders train, val and test are left out: {listed(outside)}")
    given: dict[str, list[str]] = {}
    for name in good:
        given.setdefault(places[name][0], []).append(name)
    names, how = arrange(given, settings.test_share, settings.test_match)
    words = folder_words({name: places[name][1] for name in good}, settings) if settings.labelled else {}
    return picture_files("image-folder", source, names, words, seen, [*notices, *how], bad, settings)


def split_folders(names: Sequence[str]) -> tuple[dict[str, tuple[str, str]], list[str]]:
    """Name -> (split, the rest of the name), and names that lie in no split.

    Folders at the top mean splits only where one is called train: otherwise `test` may well be a class.
    """
    if "train" not in {name.partition("/")[0].lower() for name in names}:
        return {name: ("train", name) for name in names}, []
    places, outside = {}, []
    for name in names:
        top, _, rest = name.partition("/")
        if top.lower() in SPLIT_WORDS:
            places[name] = (SPLIT_WORDS[top.lower()], rest)
        else:
            outside.append(name)
    return places, outside


def folder_words(inner: Mapping[str, str], settings: Any) -> dict[str, str]:
    """Name -> its class: the first `class_depth` folders of its path, or all of them when that is 0."""
    depth, words, loose = settings.class_depth, {}, []
    for name, rest in inner.items():
        folders = rest.split("/")[:-1]
        if len(folders) < max(depth, 1):
            loose.append(name)
        words[name] = "/".join(folders[:depth] if depth else folders)
    if loose:
        deep = f"{depth} folders deep" if depth > 1 else "in a folder that names their class"
        raise UserError(
            f"{len(loose)} of {len(inner)} pictures do not lie {deep}",
            where=str(settings.path),
            why=listed(loose),
            cure="labelled = false uses the pictures without classes; class_depth says how many folders are the class",
        )
    return words


def usable(
    source: Source, seen: dict[str, Seen], settings: Any
) -> tuple[list[str], dict[str, str], list[str]]:
    """(good names, bad name -> why, notices) under the settings most_broken and channels."""
    good, bad, notices = readable(source, seen, settings.most_broken)
    if settings.channels == "as-is":
        refuse_mixed_channels(source, seen, good)
    return good, bad, notices


def picture_files(
    kind: str,
    source: Source,
    names: Mapping[str, Sequence[str]],
    words: Mapping[str, str],
    seen: Mapping[str, Seen],
    notices: Sequence[str],
    bad: Mapping[str, str],
    settings: Any,
) -> PictureFiles:
    """Put it together: `words` holds the class of every name, or nothing at all."""
    classes = sorted_classes(set(words.values()))
    if len(classes) == 1:
        raise UserError(
            f'all pictures are of one class, "{classes[0]}"',
            where=str(settings.path),
            why="with one class there is nothing to tell apart",
            cure="labelled = false uses the pictures without classes; or give the folder or list that has several",
        )
    number = {word: place for place, word in enumerate(classes)}
    splits = {
        split: [Entry(name, number[words[name]] if words else None) for name in members]
        for split, members in names.items()
    }
    facts: dict[str, Any] = {"classes": classes} if words else {}
    facts["notices"] = [*notices, *_notices_on_splits(names, words, seen)]
    facts["unreadable"] = [f"{name}: {why}" for name, why in bad.items()]
    return PictureFiles(
        kind, source, splits, seen, facts,
        channels=settings.channels, at_least=settings.at_least, cache=settings.cache,
    )  # fmt: skip


def sorted_classes(words: set[str]) -> list[str]:
    """By name; by number where all of them are whole numbers, so that class 10 does not come before class 2."""
    if words and all(word.isdecimal() and word.isascii() for word in words):
        return sorted(words, key=lambda word: (int(word), word))
    return sorted(words)


def _notices_on_splits(
    names: Mapping[str, Sequence[str]], words: Mapping[str, str], seen: Mapping[str, Seen]
) -> list[str]:
    """What makes a score mean less than it seems to."""
    found = []
    trained = {seen[name].digest for name in names.get("train", ())}
    for split in names:
        copies = [name for name in names[split] if split != "train" and seen[name].digest in trained]
        if copies:
            found.append(f"pictures of {split} that are in train too, byte for byte: {listed(copies)}")
    known = {words[name] for name in names.get("train", ()) if words}
    new = sorted({words[name] for split in names for name in names[split] if words} - known)
    if new and known:
        found.append(f"classes without training pictures: {listed(new)}")
    return found
