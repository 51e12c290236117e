"""report.html: one self-contained page with settings, curves, tables and pictures. Text from data is escaped."""

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from maskwright.charts import Series, line_chart, thin
from maskwright.findings import FINDINGS_CURE, load_findings
from maskwright.folder import read_bytes, read_table, write_atomic
from maskwright.metrics import read_metrics
from maskwright.values import format_cell

TEMPLATE = "report.html.j2"
MAX_ROWS = 12
"""Per-item rows shown; all of them are in rows.jsonl."""


def write_report(folder: Path) -> Path:
    """(Re)write the report of a run folder from what lies in it."""
    path = folder / "report.html"
    write_atomic(path, render(folder).encode())
    return path


def render(folder: Path) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, select_autoescape

    loader = PackageLoader("maskwright", "templates")
    environment = Environment(
        loader=loader,
        autoescape=select_autoescape(default=True, default_for_string=True),
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["cell"] = format_cell
    environment.filters["base64"] = lambda text: base64.b64encode(text.encode()).decode()
    resolved = json.loads((folder / "resolved.json").read_text(encoding="utf-8"))
    metrics = read_metrics(folder)
    findings = load_findings(folder)
    for record in findings:
        record["pictures"] = [_embed(record["folder"], figure) for figure in record["figures"]]
        record["tables"] = [
            {"title": t, "rows": r, "columns": _columns(r)} for t, r in record["tables"].items()
        ]
        record["row_columns"] = _columns(record["rows"])
        record["shown_rows"] = record["rows"][:MAX_ROWS]
    page = environment.get_template(TEMPLATE)
    return page.render(
        name=folder.resolve().name,
        recipe=str(resolved.get("use", "")).partition("@")[0],
        seed=resolved.get("seed", 0),
        status=_json(folder / "status.json"),
        settings=flatten(resolved),
        environment=_json(folder / "environment.json"),
        findings=findings,
        curves=_curves(metrics),
        last=_last_values(metrics),
        children=_children(folder),
        max_rows=MAX_ROWS,
    )


def _json(path: Path) -> dict[str, Any]:
    return read_table(path, "put it back from a copy, or remove it") if path.exists() else {}


def _embed(folder: Path, figure: Mapping[str, str]) -> dict[str, str]:
    """A picture as a data address. Inside <img>, an SVG cannot run scripts or load anything."""
    content = read_bytes(folder / figure["file"], FINDINGS_CURE)
    data = base64.b64encode(content).decode()
    return {"caption": figure["caption"], "source": f"data:{figure['media']};base64,{data}"}


def _columns(rows: list[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for row in rows for key in row))


def flatten(tree: Any, path: str = "") -> list[tuple[str, str]]:
    """(path, value) of every setting, in order."""
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        name = f"{path}.{key}" if path else key
        if isinstance(value, Mapping) and value:
            rows += flatten(value, name)
        elif isinstance(value, list) and any(isinstance(entry, Mapping) for entry in value):
            for number, entry in enumerate(value):
                label = entry.get("as", number) if isinstance(entry, Mapping) else number
                rows += (
                    flatten(entry, f"{name}.{label}")
                    if isinstance(entry, Mapping)
                    else [(f"{name}.{number}", format_cell(entry))]
                )
        else:
            rows.append((name, format_cell(value)))
    return rows


def _curves(metrics: list[dict[str, Any]]) -> list[str]:
    """One chart for each metric that was logged more than once."""
    lines: dict[str, list[tuple[float, float, float]]] = {}
    for entry in metrics:
        if entry["value"] is not None:
            lines.setdefault(entry["name"], []).append((float(entry["step"]), float(entry["value"]), 0.0))
    return [
        line_chart([Series(n, thin(p))], "step", n) for n, p in lines.items() if len({q[0] for q in p}) > 1
    ]


def _last_values(metrics: list[dict[str, Any]]) -> list[tuple[str, Any]]:
    return list({entry["name"]: entry["value"] for entry in metrics}.items())


def _children(folder: Path) -> list[dict[str, str]]:
    """Child runs of an experiment or a chain."""
    found = []
    for path in sorted([*folder.glob("children/*/*/resolved.json"), *folder.glob("stages/*/resolved.json")]):
        child = path.parent
        status = _json(child / "status.json").get("status", "unknown")
        has_report = (child / "report.html").is_file()
        link = f"{child.relative_to(folder)}/report.html" if has_report else ""
        found.append({"name": str(child.relative_to(folder)), "status": status, "link": link})
    return found
