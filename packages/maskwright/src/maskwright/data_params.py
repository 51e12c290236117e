"""Settings of the data-set wrappers."""

from typing import Any

from maskwright.params import params, setting, slot


@params
class Subset:
    """Fewer items, chosen by a hash of their ids."""

    inner: Any = slot("dataset", inherit=True, help="where the items come from")
    count: int = setting(help="items to keep in each split", ge=1)
    splits: list[str] = setting(["train"], help="splits that are cut; the others stay whole")
    salt: str = setting("", help="another salt gives another choice")

    def build(self):
        from maskwright.data_wrappers import subset

        return subset(self.inner, self.count, self.splits, self.salt)

    @classmethod
    def example(cls, data):
        return cls(inner=data, count=2)


@params
class FewShot:
    """The same small number of training items for each class."""

    inner: Any = slot("dataset", needs={"label"}, inherit=True, help="where the items come from")
    shots: int = setting(help="training items for each class", ge=1)
    salt: str = setting("", help="another salt gives another choice")

    def build(self):
        from maskwright.data_wrappers import few_shot

        return few_shot(self.inner, self.shots, self.salt)

    @classmethod
    def example(cls, data):
        return cls(inner=data, shots=2)


@params
class Classes:
    """Only the items of some classes."""

    inner: Any = slot("dataset", needs={"label"}, inherit=True, help="where the items come from")
    keep: list[int] = setting(help="labels to keep", ge=0)

    def build(self):
        from maskwright.data_wrappers import classes

        return classes(self.inner, self.keep)

    @classmethod
    def example(cls, data):
        return cls(inner=data, keep=[1])


@params
class Concat:
    """Several data sets as one; only splits that all of them have."""

    parts: Any = slot("dataset", many=True, inherit=True, help="data sets with the same fields")

    def check(self):
        if not self.parts:
            yield "parts", "name at least one data set"

    def build(self):
        from maskwright.data_wrappers import Concat as Joined

        return Joined(self.parts)

    @classmethod
    def example(cls, data):
        return cls(parts=[Subset(inner=data, count=2), Classes(inner=data, keep=[0])])
