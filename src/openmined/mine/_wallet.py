"""The mine's wallet: Sonar's, and able to sign what a mine says of itself (EIP-712)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from openmined.sonar import Wallet


class MineWallet(Wallet):
    """A wallet that also signs typed data; its key never leaves it."""

    __slots__ = ()

    def sign_typed_data(self, data: Mapping[str, Any]) -> str:
        """Sign an EIP-712 document; 65 bytes r, s, v as hexadecimal."""
        # Imported here: it takes a third of a second, and few mines report.
        from eth_account.messages import encode_typed_data
        from eth_utils.crypto import keccak

        message = encode_typed_data(full_message=dict(data))
        digest = keccak(b"\x19" + message.version + message.header + message.body)
        signature = self._key.sign_msg_hash(digest)
        r, s = int(signature.r), int(signature.s)
        return "0x" + (r.to_bytes(32) + s.to_bytes(32) + bytes([27 + int(signature.v)])).hex()
