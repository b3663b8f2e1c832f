"""What docs/guide.md shows is run, and what it names is there."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from benchmarks.findings import Findings
from benchmarks.guide import report
from tests.process.test_executor_programs import run
from tests.support.workers import ROOT, worker

PAGE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
WORKER = re.search(r"^\$ taskq worker -A work (.*) &$", PAGE, re.MULTILINE)


def program(name: str) -> str:
    """All blocks of one file, in their order."""
    return "".join(code for file, code in BLOCKS if file == name)


def test_every_block_of_code_is_of_one_of_two_files() -> None:
    assert {file for file, _ in BLOCKS} == {"work.py", "use.py"}
    assert len(BLOCKS) == PAGE.count("```python")


@pytest.mark.skipif(sys.platform != "linux", reason="TASKQ_URL of the test's server is a Unix socket")
def test_what_is_printed_is_what_the_page_says(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "work.py").write_text(program("work.py"), encoding="utf-8")
    (tmp_path / "use.py").write_text(program("use.py"), encoding="utf-8")
    assert WORKER is not None
    with worker(redis_url, *WORKER[1].split(), app=str(tmp_path / "work.py")):
        output = run(tmp_path, "-W", "ignore::ResourceWarning", "use.py", TASKQ_URL=redis_url)
    assert output.splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", program("use.py"), re.MULTILINE)


def test_the_table_shows_the_values_that_are_kept() -> None:
    shown = PAGE.partition(report.BEGIN)[2].partition(report.END)[0].strip()
    assert shown == report.table(Findings.read(report.VALUES))


def test_a_value_that_misses_its_aim_says_so_and_another_does_not() -> None:
    findings = Findings(machine={**dict.fromkeys(("cores", "cpu", "python", "redis", "when"), "?"), "load": 0.0})
    for way, seconds in (("one by one", 2.0), ("standard", 1.0), ("taskq", 1.25)):
        findings.add(way, {"primes": seconds, "tiny": seconds})
    primes, tiny = (line for line in report.table(findings).splitlines() if "processes" in line and "procs" not in line)
    assert primes.endswith("| 1.60 x (aim: 1.9) | 0.80 x (aim: 0.9) |")
    assert tiny.endswith("| 1.60 x | 0.80 x |")


def test_every_example_is_named_and_every_link_leads_to_a_file() -> None:
    links = re.findall(r"\]\((?!https?:)([^)]+)\)", PAGE)
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
    named = {Path(link).stem for link in links}
    parts = {"__init__", "demo", "processes", "screen", "tasks", "web"}
    assert {path.stem for path in (ROOT / "examples" / "guide").glob("*.py")} - parts == named - {"guide"}
