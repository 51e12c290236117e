"""tools/run_blocks.py runs what it says it runs, and fails where a document is wrong."""

import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT

PAGE = """\
# A page

```python
count = 2
print("from python")
```

```python
assert count == 2
```

```toml
# mine.toml
use = "joint-dag"
seed = 3
```

```sh
maskwright check mine.toml > said.txt     # the file of the block above
grep fine said.txt
ls texts.txt
pip install "maskwright-samples[baselines]"
maskwright run cap
```

```toml
list = [1, 2]
```

```text
not run
```
"""


def tried(text: str, folder: Path) -> subprocess.CompletedProcess[str]:
    page = folder / "page.md"
    page.write_text(text)
    command = [sys.executable, str(ROOT / "tools" / "run_blocks.py"), str(page)]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)


def test_a_sound_page_is_run_checked_and_told(tmp_path: Path):
    done = tried(PAGE, tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    hows = [line.split("  ")[1:3] for line in done.stdout.splitlines() if line.startswith("page.md:")]
    assert hows == [
        ["python", "run"],
        ["python", "run"],
        ["toml", "checked"],
        ["sh", "checked"],
        ["toml", "checked"],
        ["text", "output"],
    ]
    assert "maskwright run cap — a recipe:chain is planned, not run" in done.stdout
    assert "1 pages with 6 blocks: 2 run, 3 checked, 0 shown, 1 output, 0 FAILED" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.md"]


def test_what_is_wrong_is_told_with_its_line(tmp_path: Path):
    wrong = {
        "```python\nprint(unknown)\n```": "NameError: name 'unknown' is not defined",
        "```sh\nmaskwright run mae objective.rati=0.5\n```": 'unknown setting "rati"',
        '```toml\nuse = "joint-dag"\ndata = { tasks = "x" }\n```': "exit code 2",
        "```toml\nlist = [1\n```": "TOMLDecodeError",
        "```sh\nfalse\nmaskwright list\n```": "exit code 1",
        "```sh\npip install maskwright-nothing\n```": "not in the repository: maskwright-nothing",
        "```sh\npython tools/nothing.py\n```": "not in the repository: tools/nothing.py",
        "```sh\nmaskwright doctor --contracts maskwright-mine\n```": "not in the repository: maskwright-mine",
        "```\nwhat is this\n```": "its fence must say sh, python, toml, json or text",
    }
    done = tried("\n\n".join(wrong), tmp_path)
    assert done.returncode == 1
    told = [line for line in done.stdout.splitlines() if line.startswith("page.md:")]
    assert ["FAILED" in line for line in told] == [True] * len(wrong)
    assert told[0].startswith("page.md:2  python  FAILED")
    assert 'File "page.md", line 2' in done.stdout
    for text in wrong.values():
        assert text in done.stdout


@pytest.mark.parametrize(("text", "code"), [("no block at all", 1), ("```json\n{}\n```", 0)])
def test_a_run_without_a_block_proves_nothing(text: str, code: int, tmp_path: Path):
    assert tried(text, tmp_path).returncode == code


PLUGIN_PAGE = """\
```sh
maskwright new-plugin acme-waves --kind schedule
pip install -e "./acme-waves[test]"
maskwright show schedule:acme-waves
pytest ./acme-waves -k "check_schedule_range or import_nothing_heavy"
```

```python
# acme-waves/src/acme_waves/waves.py
raise RuntimeError("written, not executed")
```

```sh
grep "not executed" acme-waves/src/acme_waves/waves.py
if pytest ./acme-waves -k check_schedule_range; then exit 1; fi
```

```toml
# short.toml
use = "experiment"
seeds = [0]

[arms]
only = { }

[base]
use = "train"
steps = 1
batch = 4
data = { use = "shapes", size = 8, count = 12, test_count = 6 }

[base.objective]
use = "mae"
decoder_width = 8
decoder_depth = 1
decoder_heads = 2
encoder = { use = "vit", image = 8, patch = 4, width = 8, depth = 1, heads = 2 }
```

```sh
maskwright run short.toml --out runs/short
ls runs/short/children/only/seed-0/checkpoints/00000001
maskwright run short.toml base.steps=2000 --out runs/long
if ls runs/long; then exit 1; fi
```

```sh
sed -i.bak 's/maskwright>=/maskwright>=99,>=/' acme-waves/pyproject.toml
pip install -e ./acme-waves
```
"""


def test_a_plugin_that_a_page_writes_is_installed_for_that_page_and_tested(tmp_path: Path):
    done = tried(PLUGIN_PAGE, tmp_path)
    hows = [line.split("  ")[1:3] for line in done.stdout.splitlines() if line.startswith("page.md:")]
    assert hows == [
        ["sh", "run"],
        ["python", "checked"],
        ["sh", "run"],
        ["toml", "checked"],
        ["sh", "checked"],
        ["sh", "FAILED"],
    ], done.stdout + done.stderr
    assert "maskwright run short.toml base.steps=2000" in done.stdout
    assert "a recipe:experiment is planned, not run" in done.stdout
    assert "not there: maskwright>=99,>=" in done.stdout
