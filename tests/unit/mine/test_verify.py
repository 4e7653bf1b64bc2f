"""What a Capsule may claim of a network, held against the campaign."""

import numpy as np
import pytest

from openmined.mine import BadDownload
from openmined.mine._campaigns import CampaignView
from openmined.mine._verify import check_model
from openmined.protocol import BlobRef, MLPPacking, ModelManifest, SonarRef
from openmined.syft import MLPClassifier, choose_parameters

CHAIN = SonarRef(chain_id=1, sonar="0x" + "11" * 20)
KEYS = "22" * 32
VIEW = CampaignView(
    1, "0x" + "33" * 20, "0x" + "44" * 20, "55" * 32, "0x" + "00" * 20,
    1, 0, 0, 0, 900_000, 1, 0, 9, keys=KEYS,
)  # fmt: skip
SPEC = MLPClassifier(inputs=64, hidden=32, classes=("a", "b", "c"))
BLOB = BlobRef(
    cid="bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
    size=1000,
    purpose="ciphertext",
)


def manifest(**packing):
    honest = {"inputs": 64, "hidden": 32, "outputs": 3, "block": 256, "row_length": 4.0}
    return ModelManifest(
        chain=CHAIN,
        campaign=1,
        version=0,
        epoch=0,
        keys=KEYS,
        packing=MLPPacking(**honest | packing),
        ciphertexts=(BLOB,),
    )


def test_a_network_is_packed_as_its_campaign_says():
    parameters = choose_parameters(SPEC)
    check_model(manifest(), VIEW, CHAIN, SPEC, parameters)
    last_bit = float(np.nextafter(4.0, 5.0))  # another machine's arithmetic
    check_model(manifest(row_length=last_bit), VIEW, CHAIN, SPEC, parameters)
    for claimed in ({"row_length": 0.1}, {"row_length": 4.001}, {"block": 128}):
        with pytest.raises(BadDownload, match="too little noise"):
            check_model(manifest(**claimed), VIEW, CHAIN, SPEC, parameters)
    with pytest.raises(BadDownload, match=r"packed for \(64, 16, 3\)"):
        check_model(manifest(hidden=16), VIEW, CHAIN, SPEC, parameters)
