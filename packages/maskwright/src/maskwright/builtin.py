"""The core's own components, declared the way any plugin declares its own."""

from maskwright.component import Component
from maskwright.hookspecs import hookimpl

MASKWRIGHT_API = 1

MRD = "arXiv:2208.10806"


@hookimpl
def maskwright_schedules():
    home = "maskwright.schedule_params"
    yield Component("constant", f"{home}:Constant", "the same value throughout")
    yield Component("linear", f"{home}:Linear", "a straight line", paper="arXiv:2305.15096")
    yield Component("cosine", f"{home}:Cosine", "half a cosine, flat at both ends")
    yield Component("cubic", f"{home}:Cubic", "fast, then slow, between two holds", paper="arXiv:1710.01878")
    yield Component("steps", f"{home}:Steps", "a staircase, e.g. 10, 20, … 90 %")
    yield Component("piecewise", f"{home}:Piecewise", "straight lines between given points")
    yield Component("warm-up", f"{home}:WarmUp", "a rise, then another schedule")
    yield Component("mrd-linear", f"{home}:MrdLinear", "masking-ratio decay: 2p to 0", paper=MRD)
    yield Component("mrd-cosine", f"{home}:MrdCosine", "masking-ratio decay along a cosine", paper=MRD)
    yield Component("mrd-ascend", f"{home}:MrdAscend", "rising ratio: the negative control", paper=MRD)
    yield Component("mrd-convex", f"{home}:MrdConvex", "decay below the line", paper=MRD)
    yield Component("mrd-concave", f"{home}:MrdConcave", "decay above the line", paper=MRD)
    yield Component("mrd-up-down", f"{home}:MrdUpDown", "up, then down", paper=MRD)
    yield Component("mrd-down-up", f"{home}:MrdDownUp", "down, then up", paper=MRD)
    yield Component("mrd-warm-decay", f"{home}:MrdWarmDecay", "warm-up, then decay", paper=MRD)
    yield Component(
        "cosine-of-uniform",
        f"{home}:CosineOfUniform",
        "cos(pi u / 2) of a draw for each row",
        provides={"per-row"},
        paper="arXiv:2307.04686",
    )


@hookimpl
def maskwright_datasets():
    home = "maskwright.data_params"
    yield Component("subset", f"{home}:Subset", "fewer items of another data set")
    yield Component("few-shot", f"{home}:FewShot", "a few training items for each class")
    yield Component("classes", f"{home}:Classes", "only some classes of another data set")
    yield Component("concat", f"{home}:Concat", "several data sets as one")


@hookimpl
def maskwright_recipes():
    home = "maskwright.recipe_params"
    yield Component("evaluate", f"{home}:Evaluate", "judge parts that exist already")
    yield Component(
        "experiment", f"{home}:Experiment", "arms × seeds, paired, with a verdict", provides={"many-runs"}
    )
    yield Component("chain", f"{home}:Chain", "recipes one after another", provides={"many-runs"})
    yield Component("imported", f"{home}:Imported", "a part that was trained elsewhere")
