"""A recipe that logs, saves every second step, and is interrupted where a test says so."""

from maskwright.params import params, setting

INTERRUPTED_AT: list[int] = []
"""Steps after whose metrics the run is interrupted, once each."""

AFTER_CHECKPOINT = []
"""Called with the run's folder and the step once its checkpoint is saved."""


@params
class Count:
    """Counts."""

    steps: int = setting(6, ge=1, help="how far")
    inner: bool = setting(False, help="start a run like this one before the first step")

    def build(self):
        return Counting(self.steps, self.inner)


class Counting:
    def __init__(self, steps, inner):
        self.steps, self.inner = steps, inner

    def run(self, run):
        import maskwright

        latest = run.latest()
        if self.inner:
            maskwright.run({"use": "count", "steps": 2}, out=run.folder / "inner", pictures=False)
        for step in range(latest.number + 1 if latest else 1, self.steps + 1):
            run.log(step, {"train/half": step / 2, "train/odd": float("inf") if step % 2 else 0.0})
            if step in INTERRUPTED_AT:
                INTERRUPTED_AT.remove(step)
                raise KeyboardInterrupt
            if step % 2 == 0:
                run.checkpoint(step, {"state.json": b"{}"})
                for look in AFTER_CHECKPOINT:
                    look(run.folder, step)
        run.log(self.steps, {"end/steps": self.steps})
