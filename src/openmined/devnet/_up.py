"""A network that stays up: everything started, supervised, and said where it is."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from openmined.devnet._network import Devnet, Owner, Settings
from openmined.devnet._scenarios import load_scenario
from openmined.protocol import TableSchema
from openmined.sonar import save_network

_LOOK_S = 0.5
_RESTARTS = 5


def run_up(folder: Path, scenario_name: str, mines: int, console: Console) -> None:
    """Start or resume the network in `folder`; return only by an exception.

    Raises:
        ProcessFailed: if a process died more often than it is restarted; it names its log.
    """
    begun = time.monotonic()

    def say(text: str) -> None:
        elapsed = time.monotonic() - begun
        console.print(f"{elapsed:6.1f} s  {text}", highlight=False, markup=False)

    settings = Settings(folder, fixed_ports=True, restarts=_RESTARTS, interfaces=True)
    with Devnet(settings, say=say) as devnet:
        say("starting the chain and the store")
        devnet.start_chain()
        devnet.wait_for_store()
        say("starting Capsule and the statistics service")
        devnet.start_capsule()
        devnet.start_statistics()
        if mines:
            say(f"starting {mines} mines")
            scenario = load_scenario(scenario_name, mines)
            schema = TableSchema(fields=scenario.input.fields + scenario.output.fields)
            for number, rows in enumerate(scenario.shares, start=1):
                devnet.start_mine(Owner(f"{scenario.owners} {number}", rows, schema))
        devnet.wait_for_capsule()
        save_network(devnet.network)
        console.print(_places(devnet))
        say("the network is up; end it with Ctrl-C, start it again with the same command")
        while True:
            devnet.supervisor.check()
            time.sleep(_LOOK_S)


def _places(devnet: Devnet) -> Table:
    table = Table(title="Where things are", title_justify="left", show_header=False)
    for name, place in devnet.places.items():
        table.add_row(name, place)
    table.add_row("network name", devnet.network.name)
    table.add_row("passphrase of its keys", f"in {devnet.passphrase_file}")
    table.add_row("logs", str(devnet.supervisor.logs))
    return table
