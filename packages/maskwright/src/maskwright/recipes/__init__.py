"""The core's own recipes: evaluate, experiment, chain, imported."""
