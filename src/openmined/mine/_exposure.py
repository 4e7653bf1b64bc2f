"""What a campaign could learn with given permissions, in plain words for the owner."""

from __future__ import annotations

from openmined.mine._permissions import ANY_FIELD, DatasetPermission
from openmined.protocol import TableSchema

_FEW_ROWS = 100

_NEVER = (
    "Your rows never leave this machine. The data scientist, the chain and the store only ever "
    "see encrypted numbers."
)
_GRAM = (
    "After about as many gradients as a campaign has features for each output, Capsule could "
    "compute how your features go together (their sums of products). Fewer gradients tell less."
)
_BATCH = (
    "A campaign that trains a network is answered with sums over as few of your rows as it asks "
    "for (128, if it does not say): of so few, with many features, Capsule could tell single rows, "
    "and a Capsule that breaks the rules could read one exactly each time. With a privacy budget "
    "no such campaign is served."
)
_UNASKED = "Campaigns within these limits are served without asking you."
_NETWORKS_ASKED = (
    "Campaigns within these limits are served without asking you, but for those that train a "
    "network: to have these served too, name the Capsules that you trust."
)
_EXACT = (
    "No privacy budget is set: what Capsule sees is exact, but for noise that keeps it from "
    "reading more than the sums."
)


def explain_exposure(permission: DatasetPermission, schema: TableSchema, rows: int) -> list[str]:
    """Say what leaves the mine under a permission, and what could be computed from it."""
    if permission.mode == "deny":
        return ["No campaign may use this dataset. Nothing of it leaves this machine."]
    allowed = [n for n in schema.names if {n, ANY_FIELD} & set(permission.fields)]
    if not allowed:
        return ["No field is permitted, so no campaign can use this dataset yet."]
    lines = [
        _NEVER,
        f"A campaign may train on: {_list(allowed)}.",
        _capsule(permission, rows),
        _GRAM,
    ]
    if rows < _FEW_ROWS:
        text = (
            f"With only {rows} rows a sum says much about each: set a privacy budget, or add rows."
        )
        lines.append(text)
    lines += [_BATCH, _EXACT] if permission.epsilon_budget is None else [_budget(permission)]
    if permission.mode == "ask":
        lines.append("You are asked about each campaign.")
    else:
        asked = not permission.capsules and permission.epsilon_budget is None
        lines.append(_NETWORKS_ASKED if asked else _UNASKED)
    return lines


def _capsule(permission: DatasetPermission, rows: int) -> str:
    return (
        "Capsule, the third party that holds a campaign's key, decrypts your gradients: sums over "
        f"your {rows} rows, not the rows. It sees at most {permission.max_rounds} a campaign."
    )


def _budget(permission: DatasetPermission) -> str:
    return (
        "Only campaigns with differential privacy for rows are served, until they have spent "
        f"epsilon {permission.epsilon_budget:g} in all: what anybody sees then hardly depends on "
        "whether any one row is there."
    )


def _list(names: list[str], most: int = 12) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
