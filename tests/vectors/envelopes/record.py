"""Write the envelope vectors anew: a key, one gradient body, and it sealed by either mine.

    python -m tests.vectors.envelopes.record          (needs Mine.js built: `make mine-js`)

The key protects nothing but these vectors. Sealing draws a session key, so the sealed files differ
with each run; what they open to does not.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from pysequoia import CipherSuite, Profile, Tsk

from openmined.devnet._programs import find_mine_js
from openmined.mine._envelope import seal_gradient
from openmined.protocol import GradientBody, encode_gradient_body

HERE = Path(__file__).parent
BODY = {
    "format": "openmined/gradient-body@1",
    "chain": {"chain_id": 31337, "sonar": "0x" + "5f" * 20},
    "campaign": 7,
    "version": 3,
    "epoch": 2,
    "miner": "0x" + "a1" * 20,
    "kind": "local-steps",
    "samples": 120,
    "ciphertexts": ["00ff", "", "5e" * 300],
}
SEAL = """
import { readFileSync, writeFileSync } from "node:fs";
const [envelope, body, certificate, out] = process.argv.slice(1);
const { sealGradient } = await import(envelope);
const found = JSON.parse(readFileSync(body, "utf8"));
const ciphertexts = found.ciphertexts.map((text) => new Uint8Array(Buffer.from(text, "hex")));
const sealed = await sealGradient({ ...found, ciphertexts }, readFileSync(certificate, "utf8"));
writeFileSync(out, sealed);
"""


def main() -> None:
    key = Tsk.generate(
        user_id="Test vectors <vectors@example.org>",
        profile=Profile.RFC4880,
        cipher_suite=CipherSuite.Cv25519,
    )
    certificate = str(key.extract_certificate())
    (HERE / "capsule.certificate.asc").write_text(certificate)
    (HERE / "capsule.secret.asc").write_text(str(key))
    (HERE / "body.json").write_text(json.dumps(BODY, indent=1) + "\n")
    body = read_body()
    (HERE / "body.cbor").write_bytes(encode_gradient_body(body))
    (HERE / "sealed-by-python.pgp").write_bytes(seal_gradient(body, certificate))
    node, program = find_mine_js()
    envelope = program.parents[1] / "dist" / "envelope.js"
    names = ("body.json", "capsule.certificate.asc", "sealed-by-node.pgp")
    command = [node, "--input-type=module", "-e", SEAL, envelope, *(HERE / name for name in names)]
    subprocess.run(list(map(str, command)), check=True)


def read_body() -> GradientBody:
    value = json.loads((HERE / "body.json").read_text())
    value["ciphertexts"] = [bytes.fromhex(text) for text in value["ciphertexts"]]
    return GradientBody.model_validate(value)


if __name__ == "__main__":
    main()
