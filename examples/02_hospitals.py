"""Five hospitals train a classifier of cell samples together, and none sees another's patients.

The data scientist names what she wants: a linear classifier, five gradients at once, Capsule's fee.
Start the hospitals in one terminal, and this in another:

    openmined up --scenario breast-cancer --mines 5
    python examples/02_hospitals.py
"""

from getpass import getpass

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression

from openmined.protocol import LocalSteps, ScoringSettings, ether_to_wei, format_wei
from openmined.sonar import PgpKey, Sonar, devnet_wallet, openmined_home

data = load_breast_cancer()
own = np.random.default_rng(2018).permutation(len(data.target))[:114]
names = [name.replace(" ", "_") for name in data.feature_names]
samples = {name: data.data[own, i] for i, name in enumerate(names)}
diagnosis = data.target_names[data.target[own]]

pgp = PgpKey.open_or_create(openmined_home() / "me.pgp", getpass("Passphrase of your PGP key: "))
with Sonar.connect("devnet", wallet=devnet_wallet(0), pgp=pgp) as sonar:
    campaign = sonar.launch_campaign(
        samples | {"diagnosis": diagnosis},
        target="diagnosis",
        title="Is a cell sample malignant?",
        description="For a screening aid at one clinic.",
        bounty=ether_to_wei("2"),
        fee=ether_to_wei("0.1"),
        estimator=LogisticRegression(),  # only its kind is read: a linear classifier
        update=LocalSteps(steps=30),
        target_accuracy=0.95,
        scoring=ScoringSettings(window_s=20, batch=5),
        duration_s=3600,
    )
    for step in campaign.watch():
        print(step)

    print(f"accuracy on her own samples: {campaign.result().score(samples, diagnosis):.1%}")
    for hospital, paid in campaign.spend().by_miner.items():
        print(f"{hospital} earned {format_wei(paid)}")
    print(campaign.audit())
    for model in campaign.models():
        print(f"encrypted version {model.version}: {model.size} bytes at {model.cid}")
