"""Every pending removal, with its replacement. A warning class says in its name which API drops it."""


class RemovedInApi2(DeprecationWarning):
    """Works today; goes when `MASKWRIGHT_API` becomes 2, two minor releases after the warning at the earliest."""


COMPONENT_DEPRECATED = "{kind}:{name} is deprecated: {note}"
