"""Finds a Capsule's OpenPGP certificate: validation sets are sealed to it, so it must be the one.

In this order: the certificate or fingerprint the caller gives; what the Capsule's address published
on this chain for earlier campaigns; its HTTP interface, if that can be trusted (https, or on this
machine).
"""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

import httpx

from openmined.protocol import KeysManifest, Phase
from openmined.sonar._contract import SonarContract
from openmined.sonar._errors import LaunchRefused, SonarError, redact_url
from openmined.sonar._events import CampaignOpened, KeysRotated
from openmined.sonar._pgp import MAX_CERTIFICATE_BYTES, parse_certificate
from openmined.storage import StorageError, Store, get_manifest

_LATEST = 20
_TIMEOUT_S = 10.0


def find_certificate(
    contract: SonarContract,
    store: Store,
    capsule: str,
    *,
    url: str | None = None,
    given: str | None = None,
    fingerprint: str | None = None,
    first_block: int = 0,
) -> str:
    """Return the certificate of the Capsule with that address, in ASCII armour.

    Raises:
        LaunchRefused: if none can be found, or it is not the one that was pinned.
    """
    found = given or _published(contract, store, capsule, first_block)
    if found is None and url is not None:
        if not fingerprint and not _trusted(url):
            raise LaunchRefused(
                f"a certificate fetched from {redact_url(url)} could be anybody's: give the "
                "Capsule's certificate or fingerprint, or use https"
            )
        found = _fetch(url)
    if found is None:
        raise LaunchRefused(
            f"no OpenPGP certificate of Capsule {capsule} is known: give capsule_certificate, or "
            "the Capsule's URL in the network"
        )
    certificate = parse_certificate(found)
    actual = str(certificate.fingerprint).lower()
    wanted = (fingerprint or "").replace(" ", "").lower()
    if wanted and wanted != actual:
        raise LaunchRefused(
            f"the certificate found for Capsule {capsule} has fingerprint {actual}, not {wanted}: "
            "send it nothing before you know why"
        )
    return str(certificate)


def _published(contract: SonarContract, store: Store, capsule: str, first_block: int) -> str | None:
    """Return what the Capsule published with its newest opened campaign."""
    count = contract.campaign_count()
    for number in range(count, max(0, count - _LATEST), -1):
        state = contract.campaign(number)
        if state.terms.capsule != capsule or state.phase < Phase.OPEN or not state.epoch:
            continue
        try:
            for event in reversed(contract.events(first_block, campaign=number)):
                if isinstance(event, CampaignOpened | KeysRotated):
                    return get_manifest(store, event.keys, KeysManifest).certificate
        except (StorageError, SonarError):
            continue
    return None


def _trusted(url: str) -> bool:
    parts = urlsplit(url)
    if parts.scheme == "https" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _fetch(url: str) -> str:
    address = url.rstrip("/") + "/certificate"
    try:
        with (
            httpx.Client(timeout=_TIMEOUT_S, trust_env=not _trusted(url)) as client,
            client.stream("GET", address) as response,
        ):
            response.raise_for_status()
            data = b""
            for part in response.iter_bytes():
                data += part
                if len(data) > MAX_CERTIFICATE_BYTES:
                    raise LaunchRefused(f"{redact_url(address)} sends more than a certificate")
            return data.decode("ascii")
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeDecodeError) as error:
        raise LaunchRefused(
            f"no certificate can be fetched from {redact_url(address)} "
            f"({type(error).__name__}): see that the Capsule runs, or give capsule_certificate"
        ) from error
