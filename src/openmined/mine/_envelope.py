"""A gradient's envelope: the body that binds it, sealed to Capsule's OpenPGP certificate."""

from __future__ import annotations

from openmined.mine._errors import BadDownload
from openmined.protocol import GradientBody, encode_gradient_body


def seal_gradient(body: GradientBody, certificate: str) -> bytes:
    """Encrypt a gradient body to Capsule; the result is not armoured.

    Raises:
        BadDownload: if the certificate cannot be read or encrypted to.
    """
    import pysequoia

    try:
        recipient = pysequoia.Cert.from_bytes(certificate.encode())
        return bytes(
            pysequoia.encrypt(encode_gradient_body(body), recipients=[recipient], armor=False)
        )
    except Exception as error:
        # pysequoia raises bare Exceptions, some with the stack below their first line; whichever
        # it is, nothing can be sealed to this one.
        cause = str(error).partition("\n")[0][:200]
        raise BadDownload(f"Capsule's certificate cannot be used: {cause}") from error
