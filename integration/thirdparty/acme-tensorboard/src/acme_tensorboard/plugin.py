"""Tells the board of each run what happens. Imports nothing but maskwright, because every command loads it."""

from maskwright import hookimpl

MASKWRIGHT_API = 1


@hookimpl
def maskwright_run_started(run):
    from acme_tensorboard import boards

    boards.begin(run.folder)


@hookimpl
def maskwright_metrics(run, step, values):
    from acme_tensorboard import boards

    boards.of(run.folder).add(step, values)


@hookimpl
def maskwright_checkpoint_saved(run):
    from acme_tensorboard import boards

    boards.of(run.folder).flush()


@hookimpl
def maskwright_run_finished(run):
    from acme_tensorboard import boards

    boards.end(run.folder)
