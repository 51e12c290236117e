"""The plugin lists without heavy imports, and every component builds from its example."""

import subprocess
import sys

import pytest

from maskwright_causal import params_data, params_parts, plugin

HEAVY = ("numpy", "scipy", "sklearn", "networkx", "matplotlib", "torch", "pandas", "cvxpy")
COMPONENTS = [
    component
    for hook in ("datasets", "encoders", "evaluators", "pipelines")
    for component in getattr(plugin, f"maskwright_{hook}")()
    if component.params.split(":")[0] in (params_data.__name__, params_parts.__name__)
]


def test_listing_and_reading_settings_import_nothing_heavy():
    code = (
        "import sys, maskwright_causal.plugin as p, maskwright_causal.params_data, maskwright_causal.params_parts\n"
        "for hook in dir(p):\n"
        "    if hook.startswith('maskwright_'): list(getattr(p, hook)())\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("component", COMPONENTS, ids=lambda component: component.name)
def test_every_component_builds_from_its_example(component):
    module = {"params_data": params_data, "params_parts": params_parts}[
        component.params.split(":")[0].split(".")[1]
    ]
    assert getattr(module, component.params.split(":")[1]).example().build() is not None


def test_all_components_were_seen():
    assert len(COMPONENTS) >= 12
