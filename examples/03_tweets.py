"""Tweets to moods: people's own tweets train a classifier that nobody reads them for.

Mine owners import the archive they got from X, and label some of their tweets:

    openmined mine import ~/mine twitter-2026.zip --name tweets

Here the data scientist brings tweets of her own with their moods, one file of texts and one of
labels 0 to 3, such as the emotion task of TweetEval:

    python examples/03_tweets.py emotion.test.txt emotion.test.labels
"""

import sys
from getpass import getpass
from pathlib import Path

from openmined.protocol import LocalSteps, ScoringSettings, ether_to_wei
from openmined.sonar import PgpKey, Sonar, devnet_wallet, openmined_home

MOODS = ("anger", "joy", "optimism", "sadness")

texts, labels = (Path(name).read_text(encoding="utf-8").splitlines() for name in sys.argv[1:3])
moods = [MOODS[int(label)] for label in labels]

pgp = PgpKey.open_or_create(openmined_home() / "me.pgp", getpass("Passphrase of your PGP key: "))
with Sonar.connect("devnet", wallet=devnet_wallet(0), pgp=pgp) as sonar:
    # Texts become hashed letters in twos to fours: the same at every mine, without a vocabulary.
    campaign = sonar.launch_campaign(
        {"body": texts, "label": moods},
        target="label",
        title="The mood of a tweet",
        bounty=ether_to_wei("1"),
        update=LocalSteps(steps=300),
        target_accuracy=0.55,
        scoring=ScoringSettings(window_s=20, batch=3),
        duration_s=3600,
    )
    for step in campaign.watch():
        print(step)

    model = campaign.result()
    print(f"accuracy on her own tweets: {model.score({'body': texts}, moods):.1%}")
    for text in ("I will not forget how they cheated us", "what a lovely, lovely morning"):
        print(f"{model.predict({'body': [text]})[0]}: {text}")
