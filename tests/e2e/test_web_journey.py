"""A whole campaign in the browser, nobody near a terminal: owners, a data scientist, an auditor.

Capsule, store, chain, statistics and the mines are the real programs; each person has a page of
her own, and what they do is what the pages offer them.
"""

from __future__ import annotations

import csv
import json
import re
import secrets
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect
from tests.e2e.web import browsing, missing_for_browser, open_page, press, tab_to, type_into
from tests.e2e.web_token import TOKEN_UNIT, Token

from openmined.devnet._anvil import call, free_port, fund
from openmined.devnet._network import Devnet, Settings
from openmined.devnet._scenarios import load_scenario
from openmined.devnet._supervisor import Command, openmined_command
from openmined.mine import create_mine
from openmined.mine.api._app import STATIC as MINE_UI
from openmined.protocol import ETHER_WEI
from openmined.stats._api import STATIC as SONAR_UI

_MISSING = missing_for_browser(SONAR_UI) or missing_for_browser(MINE_UI)
pytestmark = [
    pytest.mark.skipif(_MISSING is not None, reason=str(_MISSING)),
]

PASSPHRASE = "a passphrase of an owner"
BOUNTY_WEI = ETHER_WEI
KEY_PASSPHRASE = "correct horse battery"
SLOW_MS = 120_000
SIZE = {"width": 1440, "height": 900}


@dataclass(frozen=True)
class EmptyMine:
    """A mine that runs and has nothing yet: an owner's first day."""

    name: str
    address: str
    url: str
    export: Path


@dataclass(frozen=True)
class Network:
    """A devnet with two empty mines, their owners' exports, and a data scientist's wallet."""

    devnet: Devnet
    browser: Browser
    folder: Path
    mines: tuple[EmptyMine, ...]
    account: str
    validation: Path

    @property
    def sonar_url(self) -> str:
        return self.devnet.places["statistics"]

    @property
    def hosts(self) -> set[str]:
        network = self.devnet.network
        assert network.capsule is not None
        urls = (self.sonar_url, network.rpc_url, network.store_url, str(network.capsule.url))
        return {urlsplit(url).netloc for url in urls}

    def balance(self, account: str) -> int:
        return int(call(self.devnet.network.rpc_url, "eth_getBalance", account, "latest"), 16)

    def wallet(self) -> str:
        network = self.devnet.network
        source = Path(__file__).with_name("wallet.js").read_text(encoding="utf-8")
        settings = {"rpc": network.rpc_url, "account": self.account, "chain": network.chain_id}
        return source.replace("(SETTINGS)", f"({json.dumps(settings)})")


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    folder = tmp_path_factory.mktemp("journey")
    scenario = load_scenario("digits", 2)
    with Devnet(Settings(folder / "net", interfaces=True)) as devnet, browsing() as browser:
        devnet.start_chain()
        devnet.wait_for_store()
        devnet.start_capsule()
        devnet.start_statistics()
        mines = tuple(
            start_empty_mine(devnet, name, write_csv(folder / f"{name}.csv", rows))
            for name, rows in zip(("rosa", "omar"), scenario.shares, strict=True)
        )
        devnet.wait_for_capsule()
        account = "0x" + secrets.token_hex(20)
        fund(devnet.network.rpc_url, account)
        call(devnet.network.rpc_url, "anvil_impersonateAccount", account)
        validation = write_csv(folder / "validation.csv", scenario.validation)
        yield Network(devnet, browser, folder, mines, account, validation)


def start_empty_mine(devnet: Devnet, name: str, export: Path) -> EmptyMine:
    """Make a mine with keys and a little ETH for bonds, and start it."""
    network = devnet.network
    port = free_port()
    known = network.model_dump(
        mode="json", include={"name", "chain_id", "rpc_url", "sonar", "store_url"}
    )
    settings = {
        "format": "openmined/mine@1",
        "name": name,
        "network": known,
        "loop": {"poll_interval_s": 0.2, "retry_s": 2.0},
        "api": {"enabled": True, "port": port},
    }
    mine, keys = create_mine(devnet.settings.folder / name, settings, PASSPHRASE, cost="light")
    fund(network.rpc_url, keys.wallet.address, ETHER_WEI)
    secret = export.with_suffix(".passphrase")
    secret.touch(mode=0o600)
    secret.write_text(PASSPHRASE, encoding="utf-8")
    start = openmined_command("mine", "start", str(mine.path), "--passphrase-file", str(secret))
    devnet.supervisor.start(Command(name, start))
    url = f"http://127.0.0.1:{port}"
    devnet.supervisor.wait_until(name, lambda: answers(url), timeout_s=60, what="serving its page")
    return EmptyMine(name, keys.wallet.address, url, export)


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v1/health", timeout=2).is_success
    except httpx.HTTPError:
        return False


def write_csv(path: Path, rows: Any) -> Path:
    """Write rows of the digits as people have them: a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["pixels", "digit"])
        writer.writerows([json.dumps(row["pixels"]), row["digit"]] for row in rows.to_pylist())
    return path


def log_in(page: Page, mine: EmptyMine) -> None:
    page.goto(mine.url)
    page.get_by_label("Passphrase of the mine").fill(PASSPHRASE)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("button", name="Log out")).to_be_visible()


def offer_data(page: Page, mine: EmptyMine) -> None:
    """What an owner does on her first day: import a file, permit its use once."""
    page.get_by_role("link", name="import a file").click()
    page.get_by_label("File to import").set_input_files(mine.export)
    page.get_by_role("button", name="Import", exact=True).click()
    page.get_by_role("link", name="Set permissions").click()
    page.get_by_label("All that fit the lines below, without asking me").check()
    page.get_by_label("Every field, also those that later imports bring").check()
    page.get_by_label("Gradients for one campaign, at most").fill("1")
    page.get_by_role("button", name="Save the permission").click()
    expect(page.get_by_text("The mine follows it from now on.")).to_be_visible()


def launch(page: Page, network: Network) -> int:
    """What a data scientist does: say what is wanted and what it is worth, sign once."""
    page.goto(network.sonar_url)
    page.get_by_role("button", name="Connect wallet").click()
    page.get_by_role("dialog").get_by_role("button", name="Test wallet").click()
    page.get_by_role("link", name="Launch a campaign", exact=True).click()
    page.get_by_label("Title").fill("Which digit is this?")
    page.locator("input[type=file]").first.set_input_files(network.validation)
    page.get_by_label("Algorithm").select_option("linear")
    page.get_by_label("Wanted accuracy, in %").fill("85")
    page.get_by_label("Bounty in ETH").fill("1")
    page.get_by_label("Gradients at most").fill("2")  # one of each mine
    page.get_by_label("Passphrase for a new key").fill(KEY_PASSPHRASE)
    with page.expect_download():
        page.get_by_role("button", name="Make and save a key").click()
    page.get_by_role("button", name="Launch the campaign").click()
    page.wait_for_url(re.compile(r"/campaigns/\d+$"), timeout=SLOW_MS)
    return int(page.url.rsplit("/", 1)[1])


def withdraw(page: Page) -> None:
    """What an owner does at the end: fetch her money."""
    page.get_by_role("link", name="Earnings").click()
    page.get_by_role("button", name="Withdraw").click()
    withdrawals = page.get_by_role("region", name="Withdrawals")
    expect(withdrawals.get_by_text("Done", exact=True)).to_be_visible(timeout=SLOW_MS)


def test_a_campaign_from_first_to_last_without_a_terminal(network: Network) -> None:
    with ExitStack() as stack:

        def visit(hosts: set[str]) -> Page:
            watched = stack.enter_context(open_page(network.browser, hosts, viewport=SIZE))
            stack.callback(watched.allow, "status of 404")  # before the index has the campaign
            return watched.page

        owners = [visit({urlsplit(mine.url).netloc}) for mine in network.mines]
        for page, mine in zip(owners, network.mines, strict=True):
            log_in(page, mine)
            offer_data(page, mine)

        scientist = visit(network.hosts)
        scientist.add_init_script(network.wallet())
        number = launch(scientist, network)
        expect(scientist.get_by_text("Delivered", exact=True)).to_be_visible(timeout=SLOW_MS)
        with scientist.expect_download():
            scientist.get_by_role("button", name="Download the model, encrypted").click()

        before = {mine.address: network.balance(mine.address) for mine in network.mines}
        for page in owners:
            withdraw(page)

        # Somebody without wallet or account does the sums again.
        auditor = visit(network.hosts)
        auditor.goto(f"{network.sonar_url}/campaigns/{number}")
        auditor.get_by_role("button", name="Recompute the payouts").click()
        expect(auditor.get_by_text("Everything follows from what was published")).to_be_visible()
        expect(auditor.get_by_text("2 payouts of 1 batch")).to_be_visible()

    found = httpx.get(f"{network.sonar_url}/v1/campaigns/{number}").json()
    assert found["best_ppm"] == found["target_ppm"] == 850_000
    earned = {address: network.balance(address) - held for address, held in before.items()}
    assert all(amount > 0 for amount in earned.values())
    # Of the bounty, the twentieth that is Capsule's aside, mines get the part of the way they went;
    # and their bonds, a thousandth each, come back.
    way = found["target_ppm"] - found["measured_ppm"]
    wanted = BOUNTY_WEI * 19 // 20 * way // found["target_ppm"] + 2 * BOUNTY_WEI // 1000
    fees = wanted - sum(earned.values())
    assert 0 < fees < wanted // 100  # what the network took for two withdrawals


def permit_token(page: Page, mine: EmptyMine, token: Token) -> None:
    """What an owner does to be paid in a token too."""
    log_in(page, mine)
    if page.request.get(f"{mine.url}/api/v1/datasets/{mine.name}").status == 404:
        offer_data(page, mine)
    page.goto(f"{mine.url}/permissions/{mine.name}")
    page.get_by_label("Tokens accepted besides ETH").fill(token.address)
    expect(page.get_by_text("bounties in the token")).to_contain_text("their smallest units")
    page.get_by_role("button", name="Save the permission").click()
    expect(page.get_by_text("The mine follows it from now on.")).to_be_visible()


def connect_by_keyboard(page: Page) -> None:
    """The dialog keeps the keyboard in it, and gives it back to the button that opened it."""
    opener = page.get_by_role("button", name="Connect wallet")
    dialog = page.get_by_role("dialog")
    press(page, opener)
    expect(dialog.locator(":focus")).to_have_count(1)  # it takes the keyboard once it is there
    for _ in range(4):
        page.keyboard.press("Tab")
        assert dialog.evaluate("dialog => dialog.contains(document.activeElement)")
    page.keyboard.press("Escape")
    expect(opener).to_be_focused()
    page.keyboard.press("Enter")
    press(page, dialog.get_by_role("button", name="Test wallet"))
    expect(dialog).to_be_hidden()


def fill_in_by_keyboard(page: Page, network: Network, token: Token) -> None:
    """From the title to the key, with no mouse."""
    page.on("filechooser", lambda _: None)  # has them intercepted before the first one opens
    type_into(page, "Title", "Which digit, for tokens?")
    tab_to(page, page.get_by_role("button", name="Validation file"))
    with page.expect_file_chooser() as chooser:
        page.keyboard.press("Enter")
    chooser.value.set_files(network.validation)
    expect(page.get_by_text("360 rows, 2 columns")).to_be_visible()
    tab_to(page, page.get_by_label("Algorithm"))
    page.keyboard.type("lin")
    expect(page.get_by_label("Algorithm")).to_have_value("linear")
    type_into(page, "Wanted accuracy, in %", "85")
    type_into(page, "Bounty in ETH", "250")
    type_into(page, "Token", token.address)
    type_into(page, "Gradients at most", "2")
    type_into(page, "Passphrase for a new key", KEY_PASSPHRASE)
    with page.expect_download():
        press(page, page.get_by_role("button", name="Make and save a key"))


def count_sent(network: Network) -> int:
    rpc = network.devnet.network.rpc_url
    return int(call(rpc, "eth_getTransactionCount", network.account, "latest"), 16)


def launch_in_spite_of_reloads(page: Page, network: Network) -> int:
    """Press Launch; the page is left while it uploads, and again while a block is waited for."""
    rpc = network.devnet.network.rpc_url
    button = page.get_by_role("button", name="Launch the campaign")
    page.route("**/api/v0/**", lambda _: None)  # a store that is slow for ever
    press(page, button)
    expect(page.get_by_text("Sealing your rows to Capsule and uploading them.")).to_be_visible()
    page.reload()
    page.unroute("**/api/v0/**")
    expect(page.get_by_text("left while your rows were being uploaded")).to_be_visible()
    expect(page.get_by_text("and about 0.000")).to_contain_text("for the launch")

    sent = count_sent(network)
    call(rpc, "evm_setAutomine", False)
    press(page, button)
    expect(page.get_by_text("The allowance was sent.")).to_be_visible(timeout=SLOW_MS)
    page.reload()
    expect(page.get_by_text("You have let the contract take the tokens")).to_be_visible()
    press(page, button)
    expect(page.get_by_text("The allowance was sent.")).to_be_visible()
    assert page.evaluate("testWallet.asked").count("eth_sendTransaction") == 0
    call(rpc, "evm_setAutomine", True)
    call(rpc, "evm_mine")
    page.wait_for_url(re.compile(r"/campaigns/\d+$"), timeout=SLOW_MS)
    assert page.evaluate("testWallet.asked").count("eth_sendTransaction") == 1
    assert count_sent(network) == sent + 2  # one allowance, one launch
    return int(page.url.rsplit("/", 1)[1])


def test_a_campaign_in_a_token_launched_by_the_keyboard_alone(network: Network) -> None:
    token = Token(network.devnet.network.rpc_url, network.account)
    token.send("mint(address,uint256)", network.account, 1000 * TOKEN_UNIT)
    for mine in network.mines:
        token.send("mint(address,uint256)", mine.address, TOKEN_UNIT)  # for its bond
    with ExitStack() as stack:

        def visit(hosts: set[str]) -> Page:
            watched = stack.enter_context(open_page(network.browser, hosts, viewport=SIZE))
            stack.callback(watched.allow, "status of 404")  # before the index has the campaign
            return watched.page

        owners = [visit({urlsplit(mine.url).netloc}) for mine in network.mines]
        for page, mine in zip(owners, network.mines, strict=True):
            permit_token(page, mine, token)

        scientist = visit(network.hosts)
        scientist.add_init_script(network.wallet())
        scientist.goto(network.sonar_url)
        press(scientist, scientist.get_by_role("link", name="Launch", exact=True))
        expect(scientist).to_have_title("Launch a campaign · Sonar")
        expect(scientist.locator("main")).to_be_focused()  # the next Tab goes into the new page
        connect_by_keyboard(scientist)
        fill_in_by_keyboard(scientist, network, token)
        number = launch_in_spite_of_reloads(scientist, network)
        expect(scientist.get_by_text("Delivered", exact=True)).to_be_visible(timeout=SLOW_MS)

        for page in owners:
            page.get_by_role("link", name="Earnings").click()
            owed = page.get_by_role("region", name=f"Token {token.address.lower()}")
            owed.get_by_role("button", name="Withdraw").click()
            expect(owed.get_by_text("Withdrawn to the mine")).to_be_visible(timeout=SLOW_MS)

        # What anybody sees, without a wallet: every amount in the token's own unit.
        found = httpx.get(f"{network.sonar_url}/v1/campaigns/{number}").json()
        paid = f"{int(found['paid']) / TOKEN_UNIT:.4f}".rstrip("0") + "\xa0TEST"
        visitor = visit(network.hosts)
        visitor.goto(network.sonar_url)
        row = visitor.get_by_role("article").filter(has_text="Which digit, for tokens?")
        expect(row).to_contain_text(f"{paid} paid of 250\xa0TEST")
        row.get_by_role("link").click()
        expect(visitor.get_by_text("Bond per gradient").locator("..")).to_contain_text(
            "0.25\xa0TEST"
        )
        visitor.get_by_role("button", name="Recompute the payouts").click()
        expect(visitor.get_by_text("Everything follows from what was published")).to_be_visible()
        expect(visitor.get_by_text("2 payouts of 1 batch")).to_contain_text("\xa0TEST in all")

    way = found["target_ppm"] - found["measured_ppm"]
    wanted = 250 * TOKEN_UNIT * 19 // 20 * way // found["target_ppm"]
    earned = sum(token.balance(mine.address) - TOKEN_UNIT for mine in network.mines)
    assert 0 <= wanted - earned < 2  # bonds are back; each payout is rounded down
    assert earned == int(found["paid"])
