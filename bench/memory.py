"""Measures the resident memory of an idle ``clickloop serve`` after its start and one click, per process and in total."""

import tempfile
import time
from pathlib import Path

from bench.machine import resident_mb, wait_until
from bench.product import ServeProcess

SETTLE_SECONDS = 5.0
_NAMES = (("clickloop.app", "core"), ("clickloop.edge.process", "edge"))


def main() -> list[str]:
    """Return the results as lines of Markdown."""
    with tempfile.TemporaryDirectory(prefix="clickloop-bench-") as folder:
        serving = ServeProcess(Path(folder) / "data")
        try:
            serving.create_campaign("https://source.example.com/postback?visitor_id={externalid}")
            wait_until(serving.clicks_settled, 10, "the click is not settled")
            time.sleep(SETTLE_SECONDS)
            rows = [(_name_of(pid), resident_mb(pid, "Rss"), resident_mb(pid)) for pid in serving.pids]
        finally:
            serving.stop()
    rows.append(("in all", sum(row[1] for row in rows), sum(row[2] for row in rows)))
    lines = ["| process | resident (RSS), MiB | shared pages in proportion (PSS), MiB |", "| --- | --- | --- |"]
    lines += [f"| {name} | {rss:.0f} | {pss:.0f} |" for name, rss, pss in rows]
    _, rss, pss = rows[-1]
    summary = f"Idle after its first start and one click: {rss:.0f} MiB in all"
    return [*lines, "", f"{summary}; {pss:.0f} MiB when pages that processes share are not counted in each."]


def _name_of(pid: int) -> str:
    command = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    return next((name for module, name in _NAMES if module in command), "supervisor")


if __name__ == "__main__":
    print("\n".join(main()))
