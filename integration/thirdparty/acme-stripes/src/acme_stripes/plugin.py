"""What this package brings. Imports nothing but maskwright, because every command loads it."""

from maskwright import Component, hookimpl

MASKWRIGHT_API = 1


@hookimpl
def maskwright_maskers():
    yield Component(
        "stripes",
        "acme_stripes.params:Stripes",
        "stripes of neighbouring units, exact count",
        provides={"torch", "follows-ratio"},
    )


@hookimpl
def maskwright_schedules():
    yield Component("sawtooth", "acme_stripes.params:Sawtooth", "up slowly and back at once, in teeth")
