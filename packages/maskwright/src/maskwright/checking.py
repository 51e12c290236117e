"""Composition: do the parts of a planned tree fit together? Set inclusion on tags, before anything is built."""

from collections.abc import Iterator, Mapping

import attrs

from maskwright.catalogue import Catalogue
from maskwright.errors import Mistake, one_of
from maskwright.params import SlotSpec
from maskwright.tags import CAPABILITIES
from maskwright.tree import Node, child_path, index_of, tags_of


def check_composition(root: Node, catalogue: Catalogue) -> list[Mistake]:
    """Every mistake in how the parts are put together."""
    check = _Check(index_of(root), catalogue)
    check.recipe(root)
    return check.mistakes


@attrs.define
class _Check:
    index: dict[str, Node]
    catalogue: Catalogue
    mistakes: list[Mistake] = attrs.field(factory=list)

    def wrong(self, path: str, message: str) -> None:
        self.mistakes.append(Mistake(path, message))

    def tags(self, node: Node) -> frozenset[str]:
        return tags_of(node, self.index)

    def recipe(self, root: Node) -> None:
        """A recipe and everything below, up to the recipes below it, which have data of their own."""
        data = root.slots.get("data")
        fields = self.fields_of_data(data)
        self.part(root, fields, {})

    def fields_of_data(self, data: object) -> frozenset[str] | None:
        """Fields of a data set; None when they are not known, and then nothing is checked against them."""
        if not isinstance(data, Node) or data.ready is not None:
            return None
        node = self.resolve(data)
        return self.tags(node) if node is not None and is_known(node) else None

    def resolve(self, node: Node) -> Node | None:
        seen: set[str] = set()
        while node.is_reference:
            if node.target in seen or node.target not in self.index:
                return None
            seen.add(node.target)
            node = self.index[node.target]
        return node

    def part(self, node: Node, fields: frozenset[str] | None, renamed: dict[str, tuple[str, ...]]) -> None:
        """One node against its surroundings, then what lies below it."""
        if node.is_reference:
            self.reference(node)
            return
        if node.cls is None:
            return
        self.consumes(node, fields, renamed)
        self.between_slots(node)
        for slot, child in node.children():
            spec = node.spec(slot)
            self.slot(node, slot, spec, child)
            names = {**renamed, **spec.feeds}
            if child.kind == "recipe":
                self.recipe(child)
            elif child.kind == "evaluator" and child.entry is not None:
                self.evaluator(child, fields, renamed)
            elif child.kind == "dataset" and slot == "data" and node.kind != "recipe":
                # A data set of the part's own (a bank, an evaluator's control): its reader is checked on it.
                self.part(child, None, {})
            else:
                hands = child.kind != "dataset" and spec.reads
                self.part(child, fields if hands else None, names)

    def between_slots(self, node: Node) -> None:
        """Rules across slots that a Params class states as `check_parts({slot: tags})`."""
        if node.params is None or not hasattr(node.params, "check_parts"):
            return
        tags: dict[str, frozenset[str]] = {}
        for slot, child in node.children():
            part = self.resolve(child)
            if part is not None and is_known(part):
                tags[slot] = tags.get(slot, frozenset()) | self.tags(part)
        for name, message in node.params.check_parts(tags):
            self.wrong(child_path(node.path, name), message)

    def consumes(
        self, node: Node, fields: frozenset[str] | None, renamed: dict[str, tuple[str, ...]]
    ) -> None:
        if fields is None or node.listed is None or node.kind in ("dataset", "recipe"):
            return
        own = node.slots.get("data")
        if isinstance(own, Node):
            fields = self.fields_of_data(own)
            if fields is None:
                return
        cures: Mapping[str, str] = node.params.reads() if hasattr(node.params, "reads") else {}
        names = {
            field: renamed.get(field, (field,)) for field in node.listed.component.consumes | cures.keys()
        }
        wanted = {name for group in names.values() for name in group}
        if missing := sorted(wanted - fields - {"id"}):  # every item has an id
            word = f"field{'s' if len(missing) > 1 else ''} {', '.join(missing)}"
            has = _words(fields - CAPABILITIES.keys())
            cure = "\nleave this evaluator out, or use data with it" if node.kind == "evaluator" else ""
            cure += "".join(f"\n{do}" for field, do in cures.items() if not fields.issuperset(names[field]))
            self.wrong(node.path, f"{node.reference} reads the {word}; the data has {has}{cure}")

    def slot(self, node: Node, slot: str, spec: SlotSpec, child: Node) -> None:
        resolved = self.resolve(child)
        if resolved is None or not is_known(resolved):
            return
        if child.is_reference and resolved.kind not in spec.kinds:
            self.wrong(
                child.path, f"expected {' or '.join(spec.kinds)}, found {resolved.reference} by reference"
            )
            return
        have = self.tags(resolved)
        if missing := spec.needs - have:
            self.wrong(
                child.path,
                f"{node.reference} needs {_words(missing)}; {resolved.reference} provides {_words(have)}."
                f"{self.fitting(spec)}",
            )
        if refused := spec.refuses & have:
            self.wrong(
                child.path, f"{node.reference} refuses {_words(refused)}, which {resolved.reference} brings"
            )
        if spec.over:
            self.masker(node, spec, resolved)

    def masker(self, node: Node, spec: SlotSpec, masker: Node) -> None:
        sibling = node.slots.get(spec.over)
        encoder = self.resolve(sibling) if isinstance(sibling, Node) else None
        if encoder is None or masker.listed is None or not is_known(encoder):
            return
        if missing := masker.listed.component.expects - self.tags(encoder):
            self.wrong(
                masker.path,
                f"{masker.reference} hides units of an encoder with {_words(missing)}; "
                f"{encoder.reference} provides {_words(self.tags(encoder))}",
            )

    def fitting(self, spec: SlotSpec) -> str:
        names = [
            f"{x.name} ({x.package})"
            for kind in spec.kinds
            for x in self.catalogue.of_kind(kind)
            if spec.needs <= x.component.provides
        ]
        return f"  Fits: {', '.join(names)}" if names else "  Nothing that is installed fits"

    def reference(self, node: Node) -> None:
        if node.target not in self.index:
            known = [path for path in self.index if path]
            self.wrong(node.path, f'there is no part "{node.target}"{one_of(node.target, known)}')
        elif self.resolve(node) is None:
            self.wrong(
                node.path,
                f'the reference to "{node.target}" leads back to itself: name another part, or write it out here',
            )
        elif self.is_held(node):
            self.wrong(
                node.path,
                f'a part cannot hold itself: "{node.target}" leads back here; name another part, or write it out',
            )

    def is_held(self, reference: Node) -> bool:
        """Whether what a reference stands for holds the reference, directly or through other references."""
        waiting, seen = [reference.target], {reference.target}
        while waiting:
            for node in self.index[waiting.pop()].walk():
                if node is reference:
                    return True
                if node.is_reference and node.target in self.index and node.target not in seen:
                    seen.add(node.target)
                    waiting.append(node.target)
        return False

    def evaluator(
        self, node: Node, fields: frozenset[str] | None, renamed: dict[str, tuple[str, ...]]
    ) -> None:
        """An entry: its subject must exist and have what the evaluator expects; its data, the fields."""
        entry, listed = node.entry, node.listed
        assert entry is not None
        if entry.data is not None:
            self.part(entry.data, None, {})
            fields = self.fields_of_data(entry.data)
        feeds = getattr(node.cls, "feeds", {}) if node.cls is not None else {}
        if entry.through is not None:
            self.part(entry.through, fields, {**renamed, **feeds})
        expects = listed.component.expects if listed is not None else frozenset()
        subject = entry.through or self.subject(node, expects)
        if subject is not None and (missing := expects - self.tags(subject)) and is_known(subject):
            self.wrong(
                node.path,
                f"{node.reference} judges a part with {_words(missing)}; "
                f"{subject.reference} provides {_words(self.tags(subject))}",
            )
        elif subject is not None and entry.through is None:
            self.consumes(subject, fields, {**renamed, **feeds})
        self.consumes(node, fields, {})
        for slot, child in node.children():
            self.slot(node, slot, node.spec(slot), child)
            self.part(child, fields, {**renamed, **feeds})

    def has_holes(self, evaluator: Node) -> bool:
        """Whether a required slot beside the evaluator could not be filled."""
        owner = self.index.get(evaluator.path.rpartition(".")[0].rpartition(".")[0])
        return owner is not None and any(
            value is None and not owner.spec(name).optional for name, value in owner.slots.items()
        )

    def subject(self, node: Node, expects: frozenset[str]) -> Node | None:
        assert node.entry is not None
        if node.entry.on:
            found = self.index.get(node.entry.on)
            if found is None:
                known = [path for path in self.index if path]
                hint = one_of(node.entry.on, known)
                self.wrong(child_path(node.path, "on"), f'there is no part "{node.entry.on}"{hint}')
            return self.resolve(found) if found is not None else None
        fitting = list(subjects(self.index, node, expects))
        if len(fitting) == 1:
            return fitting[0]
        if not fitting and self.has_holes(node):
            return None  # what should fill an empty slot was reported already
        found_words = ", ".join(part.path for part in fitting) or "none"
        self.wrong(
            child_path(node.path, "on"),
            f"say which part {node.reference} judges; parts with {_words(expects)}: {found_words}",
        )
        return None


def is_known(node: Node) -> bool:
    """Whether its tags are: a wrong setting hides only tags that depend on settings."""
    return node.cls is not None and (node.params is not None or not hasattr(node.cls, "tags"))


def subjects(index: dict[str, Node], evaluator: Node, expects: frozenset[str]) -> Iterator[Node]:
    """Outermost parts of the evaluator's own recipe that have the tags it expects."""
    recipe_path = max(
        (n.path for n in index.values() if n.kind == "recipe" and _holds(n.path, evaluator.path)),
        key=len,
        default="",
    )
    taken: list[str] = []
    for node in index.values():
        fits = (
            node.kind in ("encoder", "objective", "pipeline", "codec")
            and _holds(recipe_path, node.path)
            and not node.is_reference
            and not _holds(evaluator.path, node.path)
            and expects <= tags_of(node, index)
        )
        if fits and not any(_holds(path, node.path) for path in taken):
            taken.append(node.path)
            yield node


def _holds(outer: str, inner: str) -> bool:
    return not outer or inner == outer or inner.startswith(outer + ".")


def _words(tags: frozenset[str]) -> str:
    return ", ".join(sorted(tags)) if tags else "nothing"
