"""The diabetes demo of 2018: a regression on patients of three clinics that nobody sees.

Start a network with three mines in one terminal, and this in another:

    openmined up --scenario diabetes --mines 3
    python examples/01_diabetes.py
"""

from getpass import getpass

import numpy as np
from sklearn.datasets import load_diabetes

from openmined.protocol import ScoringSettings, ether_to_wei
from openmined.sonar import PgpKey, Sonar, devnet_wallet, openmined_home

# Her own patients: 89 that no clinic has. They stay sealed to Capsule and measure the model.
data = load_diabetes(scaled=False)
own = np.random.default_rng(2018).permutation(len(data.target))[:89]
patients = {name: data.data[own, i] for i, name in enumerate(data.feature_names)}
progression = data.target[own]

pgp = PgpKey.open_or_create(openmined_home() / "me.pgp", getpass("Passphrase of your PGP key: "))
with Sonar.connect("devnet", wallet=devnet_wallet(0), pgp=pgp) as sonar:
    campaign = sonar.launch_campaign(
        patients | {"progression": progression},
        target="progression",
        title="Diabetes: progression of the disease after one year",
        bounty=ether_to_wei("1"),
        target_accuracy=0.45,
        scoring=ScoringSettings(window_s=5),
        duration_s=3600,
    )
    for step in campaign.watch():
        print(step)
    model = campaign.result()
    print(f"R2 on her own patients: {model.score(patients, progression):.3f}")
    print(campaign.spend())
    print(campaign.audit())
