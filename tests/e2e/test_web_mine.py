"""Mine UI in a real browser, served by a real mine: from an empty folder to money, and bad luck."""

from __future__ import annotations

import csv
import gzip
import json
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Route, expect
from tests.e2e.web import (
    Watched,
    browsing,
    find_barriers,
    missing_for_browser,
    open_page,
    picture,
    press,
)
from tests.unit.mine.folder_world import PASSPHRASE, rows
from tests.unit.mine.mine_world import MineProcess, MineWorld, mine_world, wait_for

from openmined.mine import MineFolder, create_mine, list_datasets
from openmined.mine.api._app import STATIC
from openmined.sonar import Score

_MISSING = missing_for_browser(STATIC)
pytestmark = [
    pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING)),
]

FIRST_LOAD_BYTES = 300_000
SLOW_MS = 60_000
WRONG = "status of 401"
FOCUSED = "document.activeElement.ariaLabel ?? document.activeElement.textContent"


@dataclass
class Owner:
    """A data owner: her mine, its page, and a folder with her exports."""

    world: MineWorld
    folder: MineFolder
    url: str
    exports: Path
    process: MineProcess
    browser: Browser

    @property
    def hosts(self) -> set[str]:
        return {urlsplit(self.url).netloc}

    def stop(self) -> None:
        """End the mine, and its page with it."""
        self.process.stop()

    def start(self) -> None:
        """Start the mine and wait until its page answers."""
        self.process = MineProcess(self.folder.path)
        wait_for(lambda: is_served(self.url))

    def csv(self, name: str, table: list[list[Any]]) -> Path:
        path = self.exports / name
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file).writerows(table)
        return path


def is_served(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/health", timeout=2).json()["status"] == "ok"
    except httpx.HTTPError:
        return False


@pytest.fixture(scope="module")
def owner() -> Iterator[Owner]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with mine_world() as world, browsing() as browser:
        api = {"enabled": True, "port": port}
        settings = world.settings(name="Rosa's mine", api=api)
        folder, secrets = create_mine(world.folder / "rosa", settings, PASSPHRASE, cost="light")
        world.anvil.call("anvil_setBalance", secrets.wallet.address, hex(10**18))
        exports = world.folder / "exports"
        exports.mkdir()
        process = MineProcess(folder.path)
        made = Owner(world, folder, f"http://127.0.0.1:{port}", exports, process, browser)
        try:
            wait_for(lambda: is_served(made.url))
            yield made
        finally:
            made.process.__exit__()


@pytest.fixture
def watched(owner: Owner) -> Iterator[Watched]:
    """A page of the mine that nobody is logged in to."""
    size = {"width": 1440, "height": 900}
    with open_page(owner.browser, owner.hosts, viewport=size) as watched:
        yield watched


@pytest.fixture
def page(owner: Owner, watched: Watched) -> Page:
    """A page that the owner is logged in to."""
    watched.page.goto(owner.url)
    log_in(watched.page)
    return watched.page


def log_in(page: Page) -> None:
    page.get_by_label("Passphrase of the mine").fill(PASSPHRASE)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log in")).to_be_hidden()


def choose(page: Page, path: Path) -> None:
    page.get_by_label("File to import").set_input_files(path)


def bring(owner: Owner, page: Page, dataset: str, permission: dict[str, Any]) -> None:
    """Have a dataset in the mine, by its API, for tests of what comes after."""
    api = f"{owner.url}/api/v1"
    if page.request.get(f"{api}/datasets/{dataset}").status == 404:
        path = str(owner.csv(f"{dataset}.csv", digits(120)))
        started = page.request.post(f"{api}/imports", data={"path": path, "dataset": dataset})
        number = started.json()["id"]
        wait_for(lambda: page.request.get(f"{api}/imports/{number}").json()["state"] == "done")
    answer = page.request.put(f"{api}/datasets/{dataset}/permission", data=permission)
    assert answer.ok, answer.text()


def press_until(page: Page, label: str) -> None:
    """Go to a button or a link as a person without a mouse does."""
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate(FOCUSED) == label:
            return
    raise AssertionError(f"no way by the keyboard to {label}")


def digits(count: int, seed: int = 0) -> list[list[Any]]:
    """A table as an owner may have it: what campaigns want, and what is nobody's business."""
    batch = rows(count, seed).to_pylist()
    found = [
        [f"patient-{at}@example.org", json.dumps(row["pixels"]), row["label"]]
        for at, row in enumerate(batch)
    ]
    return [["e-mail", "pixels", "label"], *found]


def test_from_an_empty_mine_to_money(owner: Owner, watched: Watched) -> None:
    page, world = watched.page, owner.world
    page.goto(owner.url)
    picture(page, "mine-login")
    page.get_by_label("Passphrase of the mine").fill("not it")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("That passphrase does not open this mine")).to_be_visible()
    watched.allow(WRONG)
    log_in(page)
    expect(page.get_by_role("heading", name="Rosa's mine")).to_be_visible()
    expect(page.get_by_text("There is no data here yet")).to_be_visible()
    picture(page, "mine-empty")

    # Import: look, leave out what no model needs, reload in the middle.
    page.get_by_role("link", name="import a file").click()
    picture(page, "mine-import-choose")
    choose(page, owner.csv("patients.csv", digits(120)))
    expect(page.get_by_label("Read as")).to_contain_text("CSV (recognised)")
    expect(page.get_by_label("Type of pixels")).to_contain_text("8 numbers")
    page.get_by_label("Keep e-mail").uncheck()
    expect(page.get_by_text("Will be dropped: e-mail.")).to_be_visible()
    page.reload()
    expect(page.get_by_text("Will be dropped: e-mail.")).to_be_visible()
    expect(page.get_by_label("Keep e-mail")).not_to_be_checked()
    expect(page.get_by_label("Name of the dataset")).to_have_value("patients")
    picture(page, "mine-import")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.get_by_text("120 rows imported into patients")).to_be_visible()

    # Permission: sentences that an owner can change, and what could be learned with them.
    page.get_by_role("link", name="Set permissions").click()
    expect(page.get_by_text("No campaign may use patients.")).to_be_visible()
    page.get_by_label("Those that fit the lines below, and that I approve one by one").check()
    page.get_by_label("pixels", exact=True).check()
    page.get_by_label("label", exact=True).check()
    page.get_by_label("At least, in ETH").fill("0.5")
    page.get_by_label("Gradients for one campaign, at most").fill("8")
    said = (
        "Campaigns that pay mines at least 0.5\u00a0ETH may use pixels and label of patients, "
        "up to 8 gradients each."
    )
    expect(page.get_by_text(said)).to_be_visible()
    page.reload()
    expect(page.get_by_text(said)).to_be_visible()
    expect(page.get_by_text("A campaign may train on: pixels, label.")).to_be_visible()
    picture(page, "mine-permission")
    page.get_by_role("button", name="Save the permission").click()
    expect(page.get_by_text("The mine follows it from now on.")).to_be_visible()
    page.get_by_role("link", name="Permissions", exact=True).click()
    expect(page.get_by_text(said)).to_be_visible()
    picture(page, "mine-permissions")

    # A campaign asks; it is approved; the mine trains, submits, and is paid.
    opened = world.launch_open()
    page.get_by_role("link", name="Mine", exact=True).click()
    approve = page.get_by_role("button", name="Approve Three classes")
    expect(approve).to_be_visible(timeout=SLOW_MS)
    picture(page, "mine-overview")
    page.reload()
    approve.click()
    (event,) = world.wait_submitted(opened.campaign)
    expect(page.get_by_text("is with Capsule, which scores it next")).to_be_visible(timeout=SLOW_MS)
    expect(page.get_by_text("Nothing waits for you")).to_be_visible()
    world.score(opened, 900_000, [Score(event.gradient, 1_000_000)])
    expect(page.get_by_text("was scored: share 100.0\u00a0% of its batch")).to_be_visible()

    page.get_by_role("link", name="Campaigns").click()
    expect(page.get_by_role("link", name="Three classes")).to_be_visible()
    expect(page.get_by_text("the owner approved it")).to_be_visible()
    picture(page, "mine-campaigns")
    page.get_by_role("link", name="Three classes").click()
    expect(page.get_by_text("Paid", exact=True)).to_be_visible()
    picture(page, "mine-campaign")

    # The money: asked for, reloaded in the middle, there.
    page.get_by_role("link", name="Earnings").click()
    withdraw = page.get_by_role("button", name="Withdraw")
    expect(withdraw).to_be_enabled()
    withdraw.click()
    page.reload()
    expect(page.get_by_text("Nothing is owed to you now.")).to_be_visible(timeout=SLOW_MS)
    withdrawals = page.get_by_role("region", name="Withdrawals")
    expect(withdrawals.get_by_text("Done", exact=True)).to_be_visible()
    expect(withdrawals.get_by_role("button", name="Copy the transaction's hash")).to_be_visible()
    picture(page, "mine-earnings")
    page.get_by_role("link", name="Data", exact=True).click()
    expect(page.get_by_text("1 gradient")).to_be_visible()
    picture(page, "mine-data")
    page.get_by_role("link", name="patients").click()
    expect(page.get_by_text("No privacy budget is set.", exact=False).first).to_be_visible()
    picture(page, "mine-dataset")
    page.get_by_role("link", name="Settings").click()
    expect(page.get_by_text("is up to date")).to_be_visible()
    picture(page, "mine-settings")


def test_the_privacy_budget_is_a_bar_that_fills(owner: Owner, page: Page) -> None:
    world = owner.world
    bring(owner, page, "ward", {"mode": "automatic", "fields": ["*"], "epsilon_budget": 4.0})
    page.goto(f"{owner.url}/permissions/ward")
    bar = page.get_by_role("progressbar", name="Privacy budget spent")
    expect(bar).to_have_attribute("aria-valuenow", "0")
    expect(page.get_by_text("Epsilon 4 left of 4; 0 spent over all campaigns.")).to_be_visible()
    asked = {"epsilon": 1.0, "delta": 1e-6, "level": "record"}
    opened = world.launch_open(world.manifest(title="In private", privacy=asked))
    world.wait_submitted(opened.campaign)
    page.goto(f"{owner.url}/data/ward")
    expect(page.get_by_text("Epsilon 3 left of 4; 1 spent over all campaigns.")).to_be_visible()
    expect(bar).to_have_attribute("aria-valuenow", "25")
    assert not find_barriers(page)
    bring(owner, page, "ward", {"mode": "deny"})


def test_transactions_lead_to_the_explorer_of_a_public_chain(owner: Owner, page: Page) -> None:
    bring(owner, page, "patients", {"mode": "automatic", "fields": ["pixels", "label"]})
    opened = owner.world.launch_open()
    owner.world.wait_submitted(opened.campaign)

    def rename(route: Route) -> None:
        route.fulfill(json=route.fetch().json() | {"network": "sepolia"})

    transaction = page.get_by_role("row", name=re.compile("Waiting for Capsule")).get_by_role(
        "link"
    )
    page.goto(f"{owner.url}/campaigns/{opened.campaign}")
    expect(page.get_by_text("Waiting for Capsule")).to_be_visible()
    expect(transaction).to_be_hidden()  # nobody can look up what is on a devnet
    page.route("**/api/v1/status", rename)
    page.reload()
    expect(transaction).to_have_attribute(
        "href", re.compile(r"^https://sepolia\.etherscan\.io/tx/0x[0-9a-f]{64}$")
    )
    expect(transaction).to_have_attribute("rel", "noreferrer")
    bring(owner, page, "patients", {"mode": "deny"})


def test_a_session_that_ended_loses_nothing(owner: Owner, page: Page, watched: Watched) -> None:
    page.get_by_role("link", name="Settings").click()
    page.get_by_label("Name of the mine").fill("Rosa's second mine")
    page.context.clear_cookies()
    page.get_by_role("button", name="Save the settings").click()
    dialog = page.get_by_role("dialog", name="Your session has ended")
    dialog.get_by_label("Passphrase of the mine").fill(PASSPHRASE)
    dialog.get_by_role("button", name="Log in").click()
    expect(dialog).to_be_hidden()
    watched.allow(WRONG)
    expect(page.get_by_label("Name of the mine")).to_have_value("Rosa's second mine")
    page.get_by_role("button", name="Discard changes").click()
    expect(page.get_by_label("Name of the mine")).to_have_value("Rosa's mine")


def test_a_reload_while_a_file_is_sent_or_imported(owner: Owner, page: Page) -> None:
    page.goto(f"{owner.url}/data/import")
    page.route("**/api/v1/uploads", lambda _: None)  # a connection that is slow for ever
    choose(page, owner.csv("slow.csv", digits(120)))
    expect(page.get_by_text(re.compile("^Sending slow.csv"))).to_be_visible()
    page.reload()
    page.unroute("**/api/v1/uploads")
    expect(page.get_by_role("alert")).to_contain_text("slow.csv had not arrived")

    # Taken away instead, the route would be answered by the browser and by what still holds it.
    held = {"running": True}

    def not_yet(route: Route) -> None:
        said = route.fetch().json()
        route.fulfill(
            json={**said, "state": "running", "rows_read": 60} if held["running"] else said
        )

    page.route("**/api/v1/imports/*", not_yet)
    choose(page, owner.exports / "slow.csv")
    page.get_by_role("button", name="Import", exact=True).click()
    under_way = page.get_by_text("Importing slow.csv into slow: 60 rows so far")
    expect(under_way).to_be_visible()
    page.reload()
    expect(under_way).to_be_visible()
    expect(page.get_by_text("You can leave this page; the import goes on.")).to_be_visible()
    held["running"] = False
    expect(page.get_by_text("120 rows imported into slow")).to_be_visible()
    (made,) = (found for found in list_datasets(owner.folder) if found.name == "slow")
    assert made.rows == 120
    assert len(made.parts) == 1


def test_a_file_that_is_too_large_is_never_sent(owner: Owner, page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    page.goto(f"{owner.url}/data/import")
    large = owner.exports / "large.zip"
    with large.open("wb") as file:
        file.truncate(2_000_000_000)
    choose(page, large)
    expect(page.get_by_text("The file is too large to be sent")).to_be_visible()
    expect(page.get_by_text("at most 1.0\u00a0GiB can be sent")).to_be_visible()
    assert not any("uploads" in url for url in sent)


def test_a_row_that_does_not_fit_is_named_by_line_and_column(owner: Owner, page: Page) -> None:
    page.goto(f"{owner.url}/data/import")
    table = [["age", "<b>name</b>"], [31, "<img src=x onerror=alert(1)>"], ["old", "a"], [42, "b"]]
    choose(page, owner.csv("<i>bad.csv", table))
    page.get_by_label("Type of age").select_option("integer")
    expect(page.get_by_text(re.compile(r"line 3: age = old is no integer"))).to_be_visible()
    expect(page.get_by_text("<img src=x onerror=alert(1)>").first).to_be_visible()
    expect(page.get_by_text("<i>bad.csv").first).to_be_visible()


def test_hostile_titles_are_text_and_cut(owner: Owner, page: Page, watched: Watched) -> None:
    hostile = "<script>alert(1)</script>" + "x" * 1_000_000

    def answer(route: Route) -> None:
        found = [{**decision, "title": hostile} for decision in route.fetch().json()]
        found = found or [
            {
                "id": 1,
                "at": "2026-01-05T12:00:00.123Z",
                "campaign": 1,
                "title": hostile,
                "dataset": "patients",
                "verdict": "refuse",
                "causes": [{"code": "terms", "text": hostile}],
                "answer": "none",
            }
        ]
        route.fulfill(json=found)

    page.on("dialog", lambda _: watched.faults.append("a script of a manifest ran"))
    page.route("**/api/v1/decisions*", answer)
    owner.world.launch_open()
    page.goto(f"{owner.url}/campaigns")
    expect(page.get_by_text(re.compile(r"^<script>alert\(1\)</script>x+…$")).first).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_a_refusal_is_kept_and_taken_back_by_the_keyboard_alone(owner: Owner, page: Page) -> None:
    world = owner.world
    bring(owner, page, "patients", {"mode": "ask", "fields": ["pixels", "label"]})
    opened = world.launch_open(world.manifest(title="Not today"))
    page.goto(owner.url)
    expect(page.get_by_role("button", name="Refuse Not today")).to_be_visible(timeout=SLOW_MS)
    press_until(page, "Refuse Not today")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Refuse Not today")).to_be_hidden()
    press_until(page, "Campaigns")
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="Not today")
    expect(link.first).to_be_visible()
    # Whether the mine has looked since or not: what was answered is not asked again.
    expect(page.get_by_role("button", name="Refuse Not today")).to_be_hidden()
    expect(link).to_have_count(1, timeout=SLOW_MS)
    row = page.get_by_role("article").filter(has=link)
    expect(row).to_contain_text("Refused (patients): the owner refused it", timeout=SLOW_MS)
    assert not world.submitted(opened.campaign)

    press_until(page, "Not today")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Approve")).to_be_visible()
    press_until(page, "Approve")
    page.keyboard.press("Enter")
    assert world.wait_submitted(opened.campaign)


def test_a_dataset_is_deleted_after_its_name_was_typed(owner: Owner, page: Page) -> None:
    bring(owner, page, "old-ward", {"mode": "deny"})
    page.goto(f"{owner.url}/data/old-ward")
    page.get_by_role("button", name="Delete", exact=True).click()
    dialog = page.get_by_role("dialog", name="Delete old-ward")
    name = dialog.get_by_label("Type old-ward to delete it")
    expect(name).to_be_focused()
    page.keyboard.type("old")
    page.keyboard.press("Enter")
    expect(dialog.get_by_role("button", name="Delete for good")).to_be_disabled()
    page.keyboard.type("-ward")
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{owner.url}/data")
    expect(page.get_by_role("link", name="old-ward")).to_be_hidden()
    assert "old-ward" not in {dataset.name for dataset in list_datasets(owner.folder)}


def test_a_setting_is_checked_saved_and_kept(owner: Owner, page: Page) -> None:
    page.goto(f"{owner.url}/settings")
    patience = page.get_by_label("Gradients in a row that may earn nothing")
    save = page.get_by_role("button", name="Save the settings")
    patience.fill("1.5")
    expect(page.get_by_text("Write a whole number")).to_be_visible()
    expect(save).to_be_disabled()
    patience.fill("9")
    save.click()
    expect(page.get_by_text("The mine takes them up at its next look.")).to_be_visible()
    page.reload()
    expect(patience).to_have_value("9")
    assert owner.folder.settings().loop.patience == 9


def test_a_mine_that_is_stopped_is_told(owner: Owner, page: Page) -> None:
    page.route("**/api/v1/health", lambda route: route.fulfill(json={"status": "stopped"}))
    page.goto(owner.url)
    expect(page.get_by_role("alert").filter(has_text="The mine is stopped")).to_be_visible()


def test_a_mine_that_is_away_is_named_and_comes_back(
    owner: Owner, page: Page, watched: Watched
) -> None:
    expect(page.get_by_role("heading", name="Rosa's mine")).to_be_visible()
    owner.stop()
    expect(page.get_by_text("The mine does not answer")).to_be_visible()
    owner.start()
    expect(page.get_by_role("dialog", name="Your session has ended")).to_be_visible()
    log_in(page)
    expect(page.get_by_text("The mine does not answer")).to_be_hidden()
    watched.allow("Failed to load resource")
    watched.allow("ERR_")


def test_everything_can_be_reached_by_keyboard(owner: Owner, watched: Watched) -> None:
    page = watched.page
    page.goto(owner.url)
    expect(page.get_by_label("Passphrase of the mine")).to_be_focused()
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Rosa's mine")).to_be_visible()
    page.evaluate("document.activeElement.blur()")
    seen = []
    for _ in range(10):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.textContent"))
    assert {"Data", "Permissions", "Campaigns", "Earnings", "Settings", "Log out"} <= set(seen)
    press(page, page.get_by_role("link", name="Settings"))
    expect(page).to_have_title("Settings · Mine")
    expect(page.locator("main")).to_be_focused()  # the next Tab goes into the new page


def test_the_first_load_is_small() -> None:
    manifest = json.loads((STATIC / "manifest.json").read_text(encoding="utf-8"))
    entry = next(chunk for chunk in manifest.values() if chunk.get("isEntry"))
    files, pending = set(), [entry]
    while pending:
        chunk = pending.pop()
        files.add(chunk["file"])
        pending += [manifest[name] for name in chunk.get("imports", [])]
    size = sum(len(gzip.compress((STATIC / file).read_bytes(), 6)) for file in files)
    assert size <= FIRST_LOAD_BYTES, f"{size} bytes of JavaScript, gzipped, in {sorted(files)}"
