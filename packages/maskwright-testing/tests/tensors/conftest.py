"""What one check says of a toy that works on tensors."""

from collections.abc import Callable

import pytest

from maskwright.catalogue import Listed
from maskwright_testing.cases import Skipped
from maskwright_testing.registry import checks_for
from maskwright_testing.report import failure_text, run_check


@pytest.fixture
def says(declare: Callable[..., Listed]) -> Callable[..., str]:
    """`says(check, kind, cls, provides=...)`: nothing, why it fails, or `skipped: why`. Only this check is made."""

    def ask(check: str, kind: str, cls: type, **about: object) -> str:
        listed = declare(kind, cls, **about)
        found = dict(checks_for(listed))
        assert check in found, f"{check} does not apply to {listed.reference}"
        try:
            run_check(listed, found[check])
        except Skipped as reason:
            return f"skipped: {reason}"
        except Exception as error:
            return failure_text(error)
        return ""

    return ask
