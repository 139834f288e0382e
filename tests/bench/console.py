"""What a page of the console costs: `PYTHONPATH=.:tests python -m bench.console`.

On the databases that `bench.scale` has filled (run it first). The application answers in this process, over
its own routes and with a session; photos are not fetched. Rounds go over all pages in turn.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import click
from httpx2 import Response
from starlette.testclient import TestClient

from bench.scale import FOLDER, database_url, running, told
from bench.work import Scene
from pipeline.terminal import console, new_table
from support.servers import MariaDb
from worker import runtime
from worker.clock import utc_now
from worker.console.serve import application
from worker.store.staff.records import Browser
from worker.store.staff.sign_in import Passed
from worker.store.tables.states import PairLabel, Role

URL: Final = "http://127.0.0.1:8300"
PAGES: Final = {
    "queue": "/queue",
    "queue, overdue": "/queue?state=overdue",
    "dashboard": "/dashboard",
    "member": "/members?id=m00000100",
    "dead jobs": "/jobs",
    "training": "/training",
    "records": "/records",
}
_SWEEPS: Final = 8
"""Each counts five days."""
_HIDDEN: Final = re.compile(r'name="(csrf|case)" value="([^"]*)"')
_ANSWERS: Final = re.compile(r'name="(answer-\d+)"')


class Timed:
    """Milliseconds by what was asked."""

    def __init__(self) -> None:
        self.found: defaultdict[str, list[float]] = defaultdict(list)

    def __call__(self, name: str, ask: Callable[[], Response]) -> Response:
        """The answer, which must be a page."""
        started = time.perf_counter()
        answer = ask()
        self.found[name].append((time.perf_counter() - started) * 1000)
        assert answer.status_code == 200, (name, answer.status_code, answer.text[:500])
        return answer


@click.command()
@click.argument("members", type=int, default=1_000_000)
@click.option("--rounds", default=15, show_default=True, help="Times that each page has its turn.")
@click.option("--folder", default=FOLDER, type=click.Path(path_type=Path), show_default=True)
def main(members: int, rounds: int, folder: Path) -> None:
    """Time the pages over a database of so many MEMBERS (1000000)."""
    time_it = Timed()
    with running(MariaDb(folder / "server")) as server:
        os.environ["VERIFY_DATABASE_URL"] = database_url(server, members)
        os.environ["VERIFY_TOMBSTONE_KEY"] = "bench"
        runtime.reset()
        app = application()
        scene = Scene(runtime.store(), members)
        scene.warm_up()  # what the sweep keeps up, and the days that the dashboard shows
        for _ in range(_SWEEPS):
            scene.sweep()
        operator, reviewer = (
            signed_in(app, f"bench-{role}", role) for role in (Role.OPERATOR, Role.REVIEWER)
        )
        auditor = signed_in(app, "bench-auditor", Role.AUDITOR)
        for number in range(rounds):
            told(f"round {number + 1}; load {os.getloadavg()[0]:.1f}")
            for name, path in PAGES.items():
                browser = auditor if name == "records" else operator
                time_it(name, lambda browser=browser, path=path: browser.get(path))  # type: ignore[misc]
            review(time_it, reviewer)
    table = new_table("page", "median", "quartiles", "worst", title=f"{members:,} members, milliseconds")
    for name, values in time_it.found.items():
        low, _, high = quantiles(values, n=4)
        table.add_row(name, f"{median(values):.0f}", f"{low:.0f} to {high:.0f}", f"{max(values):.0f}")
    console().print(table)


def signed_in(app: object, name: str, role: Role) -> TestClient:
    """The browser of somebody with this role."""
    staff, now = runtime.store().staff, utc_now()
    if staff.accounts.find(name) is None:
        staff.accounts.add(name, [role], "bench", now)
    passed = staff.sign_in.trusted(name, Browser("127.0.0.1", "bench"), now)
    assert isinstance(passed, Passed)
    return TestClient(app, base_url=URL, cookies={"session": passed.token})  # type: ignore[arg-type]


def review(time_it: Timed, browser: TestClient) -> None:
    """A case by htmx: its answers, and the decision, which shows the next one."""
    page = browser.get("/review").text
    if "data-step" not in page:
        page = post(browser, "/review/next", page).text
    if "answer-" in page and 'data-step="blind"' in page:
        answers = dict.fromkeys(_ANSWERS.findall(page), PairLabel.GENUINE.value)
        page = time_it("answers", lambda: post(browser, "/review/answers", page, **answers)).text
    ruling = {"choice": "approve", "code-approve": "same_person"}
    time_it("decision and next case", lambda: post(browser, "/review/decide", page, **ruling))


def post(browser: TestClient, path: str, page: str, **form: str) -> Response:
    """What the page's form would send."""
    hidden = dict(_HIDDEN.findall(page))
    return browser.post(path, data={**hidden, **form}, headers={"hx-request": "true"})


if __name__ == "__main__":
    main()
