"""A scraper that follows links: a hundred pages of a server that takes 100 ms for each, in threads of a worker.

    python -m examples.guide.scraper

`crawl` takes any executor: `ThreadPoolExecutor(32)` does the same in the threads of this process only.
"""

from __future__ import annotations

import re
import tempfile
import time
from concurrent.futures import FIRST_COMPLETED, Executor, wait
from pathlib import Path
from urllib.parse import urljoin

from examples.guide.processes import beside_a_worker, web_server
from examples.guide.web import read
from taskq import TaskQ

PAGES, LATENCY = 100, 0.1
app = TaskQ(executor_modules=[__name__])


def scrape(url: str) -> tuple[str, list[str]]:
    """The title of the page at `url`, and the links on it."""
    page = read(url).decode()
    title = page.partition("<title>")[2].partition("</title>")[0]
    return title, [urljoin(url, link) for link in re.findall('href="([^"]+)"', page)]


def crawl(executor: Executor, start: str) -> dict[str, list[str]]:
    """Every page that can be reached from `start`, asked for once: its title, and its links."""
    found, seen, running = {}, {start}, {executor.submit(scrape, start)}
    while running:
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for title, links in (future.result() for future in done):
            found[title] = links
            running |= {executor.submit(scrape, link) for link in {*links} - seen}
            seen.update(links)
    return found


def write_pages(folder: Path, pages: int) -> None:
    """Page n links to 2n + 1 to 2n + 3."""
    for n in range(pages):
        links = [f'<a href="{child}.html">{child}</a>' for child in range(2 * n + 1, min(2 * n + 4, pages))]
        Path(folder, f"{n}.html").write_text(f"<title>Page {n}</title>{''.join(links)}", encoding="ascii")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as home, web_server(Path(home), LATENCY) as site:
        write_pages(Path(home), PAGES)
        with beside_a_worker(app, "examples.guide.scraper"), app.executor() as pool:
            began = time.monotonic()
            titles = crawl(pool, f"{site}/0.html")
            print(f"{len(titles)} pages, each after {LATENCY} s, in {time.monotonic() - began:.1f} s")
