"""These folders are packages of others: their tests run where they are installed, each from its own folder."""

collect_ignore = ["acme-stripes", "acme-tensorboard"]
