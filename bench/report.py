"""Findings as a table for people, and as JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from bench.findings import Finding
from bench.setting import Scale


@dataclass(frozen=True)
class Report:
    """One run of the benchmark."""

    begun: datetime
    command: str
    scale: Scale
    machine: Mapping[str, str]
    findings: Sequence[Finding]

    @property
    def all_hold(self) -> bool:
        return not any(finding.holds is False for finding in self.findings)

    def markdown(self) -> str:
        return "\n".join(
            [
                "# What was measured",
                "",
                f"{self.begun.astimezone(UTC):%Y-%m-%d %H:%M} UTC, with `{self.command}`.",
                "[README.md](README.md) says what each figure means.",
                "",
                *(f"- {name}: {fact}" for name, fact in self.machine.items()),
                "",
                "| what | asked | measured: median (lowest..highest, runs) | verdict |",
                "|---|---|---|---|",
                *(_line(finding) for finding in self.findings),
                "",
            ]
        )

    def json(self) -> str:
        content = {
            "begun": self.begun.astimezone(UTC).isoformat(timespec="seconds"),
            "command": self.command,
            "scale": asdict(self.scale),
            "machine": dict(self.machine),
            "findings": [finding.as_json() for finding in self.findings],
        }
        return json.dumps(content, indent=1) + "\n"

    def write(self, path: Path) -> None:
        """The table to `path`, and the JSON beside it."""
        path.write_text(self.markdown())
        path.with_suffix(".json").write_text(self.json())


def _line(finding: Finding) -> str:
    cells = (finding.what, finding.asked, finding.measured, finding.verdict)
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
