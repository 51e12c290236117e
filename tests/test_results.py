"""The pages of results show what is kept in docs/results/, and a kept run replaces the older one of its command."""

import json
import sys
from pathlib import Path

from repository import ROOT

sys.path.insert(0, str(ROOT / "tools"))
import results


def run_folder(folder: Path, gain: float, verdict: str, typed: str = "") -> Path:
    claim = {
        "claim": "it helps",
        "gain": gain,
        "95 % low": gain - 0.1,
        "95 % high": gain + 0.1,
        "margin": 0.0,
    }
    rows = [{"arm": "with", "mean": 0.51234, "spread": 0.01}, {"arm": "without", "mean": None, "spread": 0}]
    found = {"tables": {"Claims": [claim | {"verdict": verdict}], "probe/accuracy": rows, "probe/f1": rows}}
    place = folder / "artefacts" / "findings" / "00000-experiment"
    place.mkdir(parents=True)
    (place / "findings.json").write_text(json.dumps(found))
    (folder / "resolved.json").write_text(
        json.dumps({"arms": {"with": {}, "without": {}}, "seeds": [0, 1, 2]})
    )
    (folder / "recipe.toml").write_text('use = "some-experiment@acme"\n')
    (folder / "overrides.txt").write_text(typed)
    return folder


def test_pages_are_as_their_results() -> None:
    differ = [page.name for page, text in results.pages(ROOT / "docs").items() if page.read_text() != text]
    assert differ == []


def test_keeping_a_run_again_replaces_its_entry(tmp_path: Path) -> None:
    file = tmp_path / "results" / "topic.json"
    results.keep(file, [run_folder(tmp_path / "a", 0.05, "not shown", "workers=1")])
    results.keep(file, [run_folder(tmp_path / "b", 0.3, "shown", "data.path=/somewhere/texts.txt")])
    results.keep(file, [run_folder(tmp_path / "c", 0.2, "shown")])
    entries = json.loads(file.read_text())
    assert [entry["command"] for entry in entries] == [
        "some-experiment",
        "some-experiment data.path=texts.txt",
    ]
    assert [entry["claims"][0]["gain"] for entry in entries] == ["0.2", "0.3"]


def test_paths_inside_a_setting_lose_their_folder() -> None:
    typed = 'base.evaluators=[{use="csv",path="/somewhere/banking77",fields={}}]'
    assert results.shortened(typed) == 'base.evaluators=[{use="csv",path="banking77",fields={}}]'


def test_a_page_and_the_claims_are_made_from_the_numbers(tmp_path: Path) -> None:
    results.keep(tmp_path / "results" / "topic.json", [run_folder(tmp_path / "a", 0.3, "shown")])
    (tmp_path / "topic-results.md").write_text(f"# Topic\n\nWords of people.\n\n{results.MARK}\n\nold\n")
    (tmp_path / "claims.md").write_text(f"# Claims\n\n{results.MARK}\n")
    made = results.pages(tmp_path)
    page = made[tmp_path / "topic-results.md"]
    assert page.startswith("# Topic\n\nWords of people.") and "old" not in page
    assert "| it helps | 0.3 [0.2, 0.4] | – | 0 | **shown** |" in page
    assert "| with | 0.512 ± 0.01 | 0.512 ± 0.01 |" in page and "| without | – ± 0 |" in page
    assert "1 claims: 1 shown, 0 not shown." in made[tmp_path / "claims.md"]


def test_the_gain_of_each_seed_and_what_an_arm_has_more_than_the_control(tmp_path: Path) -> None:
    run = run_folder(tmp_path / "a", 0.3, "shown")
    claim = {"metric": "probe/f1", "arm": "with", "control": "without", "direction": "up"}
    resolved = {"arms": {"with": {}, "without": {}}, "seeds": [0, 1, 2], "claims": [claim]}
    (run / "resolved.json").write_text(json.dumps(resolved))
    for seed, (arm, control) in enumerate([(0.5, 0.25), (0.75, 0.5), (0.5, None)]):
        for name, value in (("with", arm), ("without", control)):
            child = run / "children" / name / f"seed-{seed}"
            child.mkdir(parents=True)
            values = (
                [] if value is None else [{"step": 1, "name": "probe/f1", "value": v} for v in (0, value)]
            )
            (child / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in values))
    path = run / "artefacts" / "findings" / "00000-experiment" / "findings.json"
    found = json.loads(path.read_text())
    found["tables"]["probe/f1"][0] |= {"minus without": 0.25, "95 % low": 0.2, "95 % high": 0.3}
    path.write_text(json.dumps(found))
    text = results.section(results.kept(run))
    assert "| it helps | 0.3 [0.2, 0.4] | 0.25, 0.25 | 0 | **shown** |" in text
    assert "| probe, minus without | f1 |\n|---|---|\n| with | 0.25 [0.2, 0.3] |" in text
