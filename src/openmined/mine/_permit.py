"""Changing permissions in mine.toml, and answering campaigns."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from openmined.mine._errors import SettingsError
from openmined.mine._folder import MineFolder
from openmined.mine._permissions import DatasetPermission
from openmined.mine._settings import permission_dict, save_settings, settings_dict


def change_permission(
    folder: MineFolder, dataset: str, changes: Mapping[str, Any]
) -> DatasetPermission:
    """Change some criteria of a dataset's permission; the others stay.

    Raises:
        SettingsError: if a criterion is unknown or its value not valid.
    """
    value = settings_dict(folder.path)
    tables = dict(value.get("permissions", {}))
    before = tables.get(dataset, {})
    try:
        permission = DatasetPermission.model_validate({**before, **changes})
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in problem["loc"]) or "permission"
        raise SettingsError(
            f"permission of {dataset!r}: {place}: {problem['msg']} "
            f"(found {str(problem.get('input'))[:80]!r})"
        ) from error
    tables[dataset] = permission_dict(permission)
    save_settings(folder.path, {**value, "permissions": tables})
    return permission


def parse_changes(texts: Iterable[str]) -> dict[str, Any]:
    """Read `NAME=VALUE` with TOML values; a bare word is a text.

    Raises:
        SettingsError: if one has no `=`.
    """
    changes: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name.strip():
            raise SettingsError(f"{text!r} is not NAME=VALUE, such as max_rounds=8")
        try:
            changes[name.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            changes[name.strip()] = value.strip()
    return changes


def parse_pair(text: str) -> tuple[int, str]:
    """Read `CAMPAIGN:DATASET`.

    Raises:
        SettingsError: if it is none.
    """
    campaign, colon, dataset = text.partition(":")
    if not colon or not campaign.isascii() or not campaign.isdigit() or not dataset:
        raise SettingsError(f"{text!r} is not CAMPAIGN:DATASET, such as 3:tweets")
    return int(campaign), dataset
