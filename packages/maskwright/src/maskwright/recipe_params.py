"""Settings of the core's own recipes."""

from pathlib import Path
from typing import Any, Literal

from maskwright.params import params, setting, slot


@params
class Evaluate:
    """Judge parts of earlier runs, or parts that need no training, with any evaluators."""

    subject: Any = slot(
        ("pipeline", "encoder", "objective", "codec"),
        help="what is judged: a component, or a run folder (the part that fits)",
        reads=False,
    )
    data: Any = slot(
        "dataset", help="data of the evaluators that bring none of their own; its train split fits parts"
    )
    evaluators: Any = slot("evaluator", many=True, help="what to find out")

    def build(self):
        from maskwright.recipes.evaluate import EvaluateRecipe

        return EvaluateRecipe(self.data, self.evaluators)

    def check(self):
        if not self.evaluators:
            yield "evaluators", "name at least one evaluator"


@params
class Experiment:
    """Arms × seeds of one recipe, compared in pairs, with a verdict on each claim."""

    base: Any = slot("recipe", build=False, optional=True, help="the recipe that arms change")
    arms: dict[str, Any] = setting(help='name -> { set = { "path" = value }, file = "other.toml" }')
    seeds: list[int] = setting(
        [0, 1, 2], ge=0, help="one child run for each arm and seed; below three no verdict"
    )
    control: str = setting("", help="arm that others are compared with in the table; empty: the first")
    metrics: list[str] = setting(
        [], help="metrics of the table, with * patterns; empty: all that children logged"
    )
    claims: list[dict[str, Any]] = setting(
        [],
        help="{ metric, arm, direction, control, factor, margin } or { metric, arm, at_most | at_least }: see docs",
    )
    pair_by: Literal["seed", "item"] = setting(
        "seed", help="pair arms by seed, or by per-item rows within each seed"
    )
    curve: dict[str, Any] = setting(
        {},
        help="draws means over arms: { x = { arm = number }, metrics = [names, or lists of names], label }; several "
        "lines: x = { line = { arm = number } }",
    )
    workers: int = setting(1, ge=1, help="child runs at a time")

    checks_with_holes = True

    @classmethod
    def hold_files(cls, raw, read):
        from maskwright.recipes.files import hold_arms

        return hold_arms(raw, read)

    def check(self):
        from maskwright.recipes.claims import check_experiment

        yield from check_experiment(self)

    def build(self):
        from maskwright.recipes.experiment import ExperimentRecipe

        return ExperimentRecipe(self)


@params
class Chain:
    """Recipes one after another; a later stage takes parts of an earlier one with run = "stage:name"."""

    stages: dict[str, Any] = setting(help="name -> a recipe table or { file = … }, in order")
    reuse: Path | None = setting(
        None, help="folder of an earlier chain: its unchanged finished stages are not run again"
    )

    @classmethod
    def hold_files(cls, raw, read):
        from maskwright.recipes.files import hold_stages

        return hold_stages(raw, read)

    def check(self):
        from maskwright.recipes.chain import STAGES, check_stages

        yield from check_stages(self.stages)
        if self.reuse is not None and not (self.reuse / STAGES).is_file():
            yield "reuse", f"{self.reuse} is not the folder of a finished chain"

    def build(self):
        from maskwright.recipes.chain import ChainRecipe

        return ChainRecipe(self.stages, self.reuse)


@params
class Imported:
    """A part that was trained elsewhere, as a run folder."""

    part: Any = slot(("encoder", "objective", "pipeline", "codec"), help="the part")
    source: Path = setting(help="where it came from")
    format: str = setting(help="the format it had there")

    def build(self):
        from maskwright.recipes.imported import ImportedRecipe

        return ImportedRecipe(self.part, self.source, self.format)

    @staticmethod
    def restore_part(run: Path, path: str, at: str, part: Any) -> None:
        """Weights of the imported part, or of one inside it; what is fitted was loaded by the core."""
        if hasattr(part, "load_inner"):
            part.load_inner(run / "parts" / "part", path.removeprefix("part").lstrip("."))
