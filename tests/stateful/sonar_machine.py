"""A Hypothesis machine that plays every role against Sonar at once.

Each step makes one call, mostly sensible and sometimes not, to the contract and to the model. They
must agree on the result or on the reason of the revert, and afterwards

- the contract's balance of each token equals `escrow`, equals unspent bounties + bonds + credits;
- the campaign, the gradients and the credits that the step touched are what the model says;
- the state rebuilt from the events alone is the same; at the end of a run, everything is compared.
"""

from __future__ import annotations

from typing import Any

import boa
import pytest
from eth_utils import keccak
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sonar_model import (
    ETH,
    GIVING_FAILS,
    LAUNCHED,
    MOODS,
    OPEN,
    PPM,
    TAKING_FAILS,
    Campaign,
    Refused,
    Score,
    SonarModel,
    Terms,
)
from sonar_port import Reverted, SonarPort
from sonar_replay import Replay
from sonar_world import (
    REENTERS,
    START_S,
    VISITOR_REENTERS,
    VISITOR_REJECTS,
    deploy,
    deployer,
    sonar_deployer,
)

RICH = 10**40
BALANCES_SLOT = 1  # of Token.vy
DIGESTS = st.sampled_from([bytes(32), b"\x01" * 32, b"\x02" * 32])
NONCES = st.sampled_from([bytes([n]) * 32 for n in range(1, 7)])
MOSTLY = st.sampled_from([True] * 9 + [False])
RARELY = st.sampled_from([False] * 19 + [True])
AMOUNTS = st.sampled_from([0, 1, 2, 3, 10, 999, 1000, 10**6 + 3, 10**18, 2**96 - 1, 2**128 - 1])
WORDS = st.sampled_from([0, 1, 2, 2**32, 2**40, 2**96, 2**128, 2**256 - 1])
REASONS = st.sampled_from([0] * 6 + [1, 2, 5, 127, 128, 129, 255])


def run_settings(examples: int, *, seeded: bool) -> settings:
    """So many runs of up to 50 steps; seeded: the same ones every time."""
    return settings(
        max_examples=examples,
        stateful_step_count=50,
        derandomize=seeded,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def lower(contract_or_address: Any) -> str:
    return str(getattr(contract_or_address, "address", contract_or_address)).lower()


def account(number: int) -> str:
    """An address that is the same in every run: Hypothesis must be able to repeat itself."""
    return f"0x{number:040x}"


class Stage:
    """What every run starts from: deployed once, rolled back after each run."""

    def __init__(self) -> None:
        boa.env.timestamp = START_S
        # By its bytecode: titanoboa draws a picture of a contract it knows at every revert.
        bytecode = sonar_deployer().compiler_data.bytecode
        self.port = SonarPort(boa.env.deploy_code(bytecode=bytecode)[0])
        self.visitor = deploy(deployer("Visitor"))
        self.plain, self.moody = (deploy(deployer("Token")) for _ in range(2))
        self.data_scientists = [account(0xD0), account(0xD1)]
        self.capsules = [account(0xCA), account(0xCB)]
        self.miners = [*map(account, (0xA0, 0xA1, 0xA2)), lower(self.visitor), lower(self.moody)]
        self.everyone = [*self.data_scientists, *self.capsules, *self.miners, account(0xFF)]
        self.tokens = [ETH, lower(self.plain), lower(self.moody)]
        self.contracts = {lower(token): token for token in (self.plain, self.moody)}
        for rich in self.everyone:
            boa.env.set_balance(rich, RICH)
            for token in self.contracts.values():
                token.mint(rich, RICH)
                token.approve(self.port.address, 2**256 - 1, sender=rich)
        # Both contracts come back in with a call that would pay them, if they could.
        self.visitor.set_call(self.port.address, self.port.encode("withdraw", ETH), 0)
        back_in = self.port.encode("withdraw", lower(self.moody))
        self.moody.set_call(self.port.address, back_in)

    def balance(self, token: str, owner: str) -> int:
        if token == ETH:
            balance: int = boa.env.get_balance(owner)
            return balance
        key = bytes.fromhex(lower(owner)[2:]).rjust(32, bytes(1))
        slot = keccak(BALANCES_SLOT.to_bytes(32) + key)
        stored: int = boa.env.get_storage(token, int.from_bytes(slot))
        return stored


class SonarMachine(RuleBasedStateMachine):
    stage: Stage
    steps = 0  # over all examples: a run that made too few proves too little
    agreed: dict[str, int] = {}  # noqa: RUF012 - how often each call succeeded

    @classmethod
    def play(cls, examples: int, *, seeded: bool) -> None:
        """Run on a chain of its own: on another titanoboa may know Sonar, by its code."""
        with boa.swap_env(boa.Env()):
            cls.stage = Stage()
            cls.steps = 0
            cls.agreed = {}
            run_state_machine_as_test(cls, settings=run_settings(examples, seeded=seeded))

    def __init__(self) -> None:
        super().__init__()
        self.anchor = boa.env.anchor()
        self.anchor.__enter__()
        self.port, self.everyone = self.stage.port, self.stage.everyone
        self.tokens, self.balance = self.stage.tokens, self.stage.balance
        self.visitor, self.moody = self.stage.visitor, self.stage.moody
        self.model = SonarModel(lower(self.port.address), START_S)
        self.model.moods = dict.fromkeys(self.stage.contracts, 0)
        self.model.eth_refusers = {lower(self.moody)}
        self.replay = Replay()
        self.touched: set[int] = set()

    # -------------------------------------------------------------------------------- one step

    def make(self, method: str, *arguments: Any, **how: Any) -> Any:
        """Call model and contract; both succeed alike or both refuse for the same reason."""
        SonarMachine.steps += 1
        expected, refusal = self.predict(method, arguments, how)
        if refusal:
            with pytest.raises(Reverted) as reverted:
                self.port.call(method, *arguments, **how)
            assert reverted.value.reason == refusal.reason, (method, arguments, how)
            return None
        result, events = self.port.call(method, *arguments, **how)
        assert events
        for event in events:
            self.replay.apply(event)
        if method != "withdraw":
            assert result == expected
        self.agreed[method] = self.agreed.get(method, 0) + 1
        return expected

    def predict(self, method: str, arguments: Any, how: Any) -> tuple[Any, Refused | None]:
        try:
            return getattr(self.model, method)(*arguments, **how), None
        except Refused as refused:  # before it changed anything
            return None, refused

    def draw_campaign(self, data: st.DataObject, *phases: int) -> int:
        """A campaign in one of the phases if there is one; sometimes any, or none."""
        numbers = [n for n, c in self.model.campaigns.items() if c.phase in phases]
        if not numbers or data.draw(RARELY, "any campaign"):
            return data.draw(st.integers(0, len(self.model.campaigns) + 1), "campaign")
        return data.draw(st.sampled_from(numbers), "campaign")

    def some(self, *phases: int) -> bool:
        return any(campaign.phase in phases for campaign in self.model.campaigns.values())

    def awaiting_scores(self) -> list[int]:
        campaigns = self.model.campaigns.items()
        return [number for number, c in campaigns if c.phase == OPEN and c.pending]

    def known(self, number: int) -> Campaign:
        """The campaign, or one to draw plausible arguments from if there is none."""
        nobody = Terms(bytes(32), ETH, ETH, 1, 0, 0, 0, 0, 1, 1, 0, 1, 1, 1)
        self.touched.add(number)
        return self.model.campaigns.get(number, Campaign(ETH, nobody))

    def sender(self, data: st.DataObject, expected: str) -> str:
        if expected in self.everyone and data.draw(MOSTLY, "the right sender"):
            return expected
        return data.draw(st.sampled_from(self.everyone), "sender")

    def near(self, data: st.DataObject, place: int) -> int:
        """The place where the campaign stands; sometimes one beside it, as a lost call has it."""
        if not data.draw(RARELY, "another place"):
            return place
        return data.draw(st.sampled_from([max(0, place - 1), place + 1, place + 2**32]), "place")

    def value(self, data: st.DataObject, token: str, amount: int) -> int:
        exact = amount if token == ETH else 0
        if data.draw(MOSTLY, "the right value"):
            return min(exact, RICH)
        return data.draw(st.sampled_from([0, 1, min(amount, RICH) + 1]), "value")

    # ------------------------------------------------------------------------------------ rules

    @initialize(data=st.data())
    def begin_with_an_open_campaign(self, data: st.DataObject) -> None:
        terms = self.draw_terms(data)._replace(start_ppm=100_000, target_ppm=800_000)
        value = terms.bounty if terms.token == ETH else 0
        sender = self.stage.data_scientists[0]
        self.make("launch_campaign", b"\x99" * 32, terms, sender=sender, value=value)
        self.make("open_campaign", 1, bytes(32), bytes(32), 100_000, sender=terms.capsule)

    def draw_terms(self, data: st.DataObject) -> Terms:
        bounty = data.draw(st.sampled_from([1, 7, 1000, 10**6 + 3, 10**18]), "bounty")
        target = data.draw(st.sampled_from([1, 3, 500_000, 799_999, 800_000, PPM]), "target")
        return Terms(
            spec=data.draw(DIGESTS, "spec"),
            capsule=data.draw(st.sampled_from(self.stage.capsules), "capsule"),
            token=data.draw(st.sampled_from(self.tokens), "token"),
            bounty=bounty,
            fee=data.draw(st.integers(0, bounty - 1), "fee"),
            bond=data.draw(st.sampled_from([0, 1, 10, 997, 10**17]), "bond"),
            start_ppm=data.draw(st.integers(0, target - 1), "start"),
            start_tolerance_ppm=data.draw(st.sampled_from([0, 1, 50_000, PPM]), "tolerance"),
            target_ppm=target,
            min_improvement_ppm=data.draw(st.sampled_from([1, 1000, 100_000, PPM]), "step"),
            deadline=self.model.now + data.draw(st.integers(1, 400), "deadline"),
            grace=data.draw(st.integers(1, 50), "grace"),
            max_gradients=data.draw(st.integers(1, 12), "max_gradients"),
            max_batch=data.draw(st.integers(1, 4), "max_batch"),
        )

    @rule(data=st.data(), nonce=NONCES)
    def launch(self, data: st.DataObject, nonce: bytes) -> None:
        terms = self.draw_terms(data)
        if data.draw(RARELY, "odd terms"):
            name = data.draw(st.sampled_from(Terms._fields[3:]), "odd field")
            terms = terms._replace(**{name: data.draw(WORDS, name)})
        sender = self.sender(data, data.draw(st.sampled_from(self.stage.data_scientists), "payer"))
        value = self.value(data, terms.token, terms.bounty)
        number = self.make("launch_campaign", nonce, terms, sender=sender, value=value)
        if number:
            self.touched.add(number)

    @rule(data=st.data())
    @precondition(lambda self: self.some(LAUNCHED))
    def open(self, data: st.DataObject) -> None:
        number = self.draw_campaign(data, LAUNCHED)
        terms = self.known(number).terms
        near = st.sampled_from([-terms.start_tolerance_ppm, -1, 0, 1, terms.start_tolerance_ppm])
        off = data.draw(near, "off") + data.draw(st.sampled_from([0] * 8 + [1, -1]), "by")
        accuracy = max(0, terms.start_ppm + off)
        keys, model = data.draw(DIGESTS, "keys"), data.draw(DIGESTS, "model")
        sender = self.sender(data, terms.capsule)
        self.make("open_campaign", number, keys, model, accuracy, sender=sender)

    @rule(data=st.data(), reason=st.sampled_from(["", "no", "x" * 96]))
    @precondition(lambda self: self.some(LAUNCHED))
    def reject(self, data: st.DataObject, reason: str) -> None:
        number = self.draw_campaign(data, LAUNCHED)
        sender = self.sender(data, self.known(number).terms.capsule)
        self.make("reject_campaign", number, reason, sender=sender)

    @rule(data=st.data())
    @precondition(lambda self: self.some(LAUNCHED))
    def cancel(self, data: st.DataObject) -> None:
        number = self.draw_campaign(data, LAUNCHED)
        sender = self.sender(data, self.known(number).data_scientist)
        self.make("cancel_campaign", number, sender=sender)

    @rule(data=st.data(), amount=AMOUNTS)
    def top_up(self, data: st.DataObject, amount: int) -> None:
        number = self.draw_campaign(data, LAUNCHED, OPEN)
        token = self.known(number).terms.token
        sender = data.draw(st.sampled_from(self.everyone), "sender")
        value = self.value(data, token, amount)
        self.make("top_up", number, amount, sender=sender, value=value)

    @rule(data=st.data(), count=st.integers(1, 3))
    @precondition(lambda self: self.some(OPEN))
    def submit(self, data: st.DataObject, count: int) -> None:
        number = self.draw_campaign(data, OPEN)
        for _ in range(count):
            self.submit_one(data, number)

    def submit_one(self, data: st.DataObject, number: int) -> None:
        campaign = self.known(number)
        version = campaign.version
        if not data.draw(MOSTLY, "the current version"):
            version = data.draw(st.sampled_from([0, 1, version + 1, 2**32 + 1]), "version")
        envelope = data.draw(DIGESTS, "envelope")
        sender = data.draw(st.sampled_from(self.stage.miners), "miner")
        value = self.value(data, campaign.terms.token, campaign.terms.bond)
        self.make("submit_gradient", number, version, envelope, sender=sender, value=value)

    @rule(data=st.data())
    @precondition(lambda self: self.awaiting_scores())
    def score(self, data: st.DataObject) -> None:
        self.score_one(data, data.draw(st.sampled_from(self.awaiting_scores()), "campaign"))

    def score_one(self, data: st.DataObject, number: int) -> None:
        campaign = self.known(number)
        accuracy = self.draw_accuracy(data, campaign)
        scores = self.draw_scores(data, campaign, accuracy)
        model, receipt = data.draw(DIGESTS, "model"), data.draw(DIGESTS, "receipt")
        sender = self.sender(data, campaign.terms.capsule)
        place = (self.near(data, campaign.batches + 1), self.near(data, campaign.version))
        self.make("score_batch", number, *place, accuracy, model, receipt, scores, sender=sender)

    @rule(data=st.data(), count=st.integers(1, 4))
    @precondition(lambda self: self.some(OPEN))
    def submit_and_score(self, data: st.DataObject, count: int) -> None:
        number = self.draw_campaign(data, OPEN)
        for _ in range(count):
            self.submit_one(data, number)
        self.score_one(data, number)

    @rule(data=st.data())
    @precondition(lambda self: self.some(OPEN))
    def submit_and_score_again(self, data: st.DataObject) -> None:
        """Hypothesis leaves rules out of a run at random: seldom both of these."""
        number = self.draw_campaign(data, OPEN)
        self.submit_one(data, number)
        self.score_one(data, number)

    def draw_accuracy(self, data: st.DataObject, campaign: Campaign) -> int:
        terms, best = campaign.terms, campaign.best_ppm
        step, target = terms.min_improvement_ppm, terms.target_ppm
        near = [0, best, best + step - 1, best + step, (best + target) // 2, target - 1, target]
        accuracy = data.draw(st.sampled_from([*near, target + 1, PPM]), "accuracy")
        return PPM + 1 if data.draw(RARELY, "absurd") else max(0, min(PPM, accuracy))

    def draw_scores(
        self, data: st.DataObject, campaign: Campaign, accuracy_ppm: int
    ) -> list[Score]:
        """Mostly a batch in order: pending gradients, shares that sum to what is due."""
        pending = [n for n, g in enumerate(campaign.gradients) if g.status == 1] or [0]
        size = min(len(pending), campaign.terms.max_batch)
        chosen = data.draw(st.permutations(pending), "order")[: max(size, 1)]
        reasons = [data.draw(REASONS, "reason") for _ in chosen]
        accepted = [n for n, reason in zip(chosen, reasons, strict=True) if reason == 0]
        left = PPM if campaign.counts(accuracy_ppm) else 0
        shares = dict.fromkeys(chosen, 0)
        for gradient in accepted[1:]:
            shares[gradient] = data.draw(st.integers(0, left), "share")
            left -= shares[gradient]
        if accepted:
            shares[accepted[0]] = left
        scores = [Score(n, shares[n], reason) for n, reason in zip(chosen, reasons, strict=True)]
        return self.spoil(data, scores) if data.draw(RARELY, "spoil") else scores

    def spoil(self, data: st.DataObject, scores: list[Score]) -> list[Score]:
        score = scores[0]
        return data.draw(
            st.sampled_from(
                [
                    [],
                    [*scores, score],
                    [score._replace(share_ppm=score.share_ppm + 1), *scores[1:]],
                    [score._replace(share_ppm=max(0, score.share_ppm - 1)), *scores[1:]],
                    [score._replace(share_ppm=2**256 - 1), *scores[1:]],
                    [score._replace(reason=256), *scores[1:]],
                    [score._replace(reason=1), *scores[1:]],
                    [score._replace(gradient=2**256 - 1), *scores[1:]],
                    [score._replace(gradient=0), *scores[1:]],
                ]
            ),
            "spoilt",
        )

    @rule(data=st.data(), keys=DIGESTS, model=DIGESTS)
    @precondition(lambda self: self.some(OPEN))
    def rotate(self, data: st.DataObject, keys: bytes, model: bytes) -> None:
        number = self.draw_campaign(data, OPEN)
        campaign = self.known(number)
        sender, version = self.sender(data, campaign.terms.capsule), campaign.version
        self.make("rotate_keys", number, self.near(data, version), keys, model, sender=sender)

    @rule(data=st.data(), delivery=DIGESTS)
    @precondition(lambda self: self.some(OPEN))
    def deliver(self, data: st.DataObject, delivery: bytes) -> None:
        number = self.draw_campaign(data, OPEN)
        if data.draw(st.booleans(), "wait for the deadline"):
            deadline = self.known(number).terms.deadline
            self.pass_time(data.draw(st.sampled_from([deadline - 1, deadline]), "now"))
        campaign = self.known(number)
        sender, batch = self.sender(data, campaign.terms.capsule), campaign.batches
        self.make("deliver", number, self.near(data, batch), delivery, sender=sender)

    @rule(data=st.data())
    @precondition(lambda self: self.some(LAUNCHED, OPEN))
    def expire(self, data: st.DataObject) -> None:
        number = self.draw_campaign(data, LAUNCHED, OPEN)
        end = self.known(number).end_of_grace
        if data.draw(st.booleans(), "wait for the end of grace"):
            self.pass_time(data.draw(st.sampled_from([end, end + 1]), "now"))
        sender = data.draw(st.sampled_from(self.everyone), "sender")
        self.make("expire_campaign", number, sender=sender)

    @rule(data=st.data())
    @precondition(
        lambda self: any(c.phase > OPEN and c.pending for c in self.model.campaigns.values())
    )
    def reclaim(self, data: st.DataObject) -> None:
        ended = [n for n, c in self.model.campaigns.items() if c.phase > OPEN and c.pending]
        number = data.draw(st.sampled_from(ended), "campaign")
        all_gradients = self.known(number).gradients
        gradients = data.draw(st.lists(st.integers(0, len(all_gradients)), max_size=6), "gradients")
        pending = [n for n, one in enumerate(all_gradients) if one.status == 1]
        if pending and data.draw(MOSTLY, "one that is pending"):
            gradients.insert(0, data.draw(st.sampled_from(pending), "pending"))
        sender = data.draw(st.sampled_from(self.everyone), "sender")
        self.make("reclaim_bonds", number, gradients, sender=sender)

    @rule(data=st.data())
    @precondition(lambda self: any(self.model.credits.values()))
    def withdraw(self, data: st.DataObject) -> None:
        owed = [key for key, amount in self.model.credits.items() if amount]
        every = [(token, account) for token in self.tokens for account in self.everyone]
        pairs = owed if owed and data.draw(MOSTLY, "something") else every
        token, sender = data.draw(st.sampled_from(sorted(pairs)), "token and account")
        before = self.balance(token, sender)
        paid = self.make("withdraw", token, sender=sender)
        if paid and self.model.moods.get(token) not in (3, 10) and sender != lower(self.moody):
            assert self.balance(token, sender) == before + paid

    @rule(seconds=st.sampled_from([1, 1, 2, 5, 30]))
    def wait(self, seconds: int) -> None:
        self.pass_time(self.model.now + seconds)

    def pass_time(self, moment: int) -> None:
        """Go to a moment; never back, and not to one that no test would see."""
        if self.model.now <= moment < self.model.now + 10_000:
            self.model.now = boa.env.timestamp = moment

    @rule(mood=st.sampled_from([0] * len(MOODS) + [REENTERS] * 3 + list(MOODS)))
    def change_the_tokens_mood(self, mood: int) -> None:
        self.moody.set_mood(mood)
        self.model.moods[lower(self.moody)] = mood

    @rule(mood=st.sampled_from([0, VISITOR_REENTERS, VISITOR_REENTERS, VISITOR_REJECTS]))
    def change_the_visitors_mood(self, mood: int) -> None:
        self.visitor.set_mood(mood)
        refuses = {lower(self.visitor)} if mood == VISITOR_REJECTS else set()
        self.model.eth_refusers = {lower(self.moody)} | refuses

    # ------------------------------------------------------------------------------- invariants

    @invariant()
    def balances_are_what_is_owed(self) -> None:
        for token in self.tokens:
            owed = self.model.escrow(token)
            assert self.port.view("escrow", token) == owed
            assert self.balance(token, self.port.address) == owed
            assert self.replay.escrows[token] == owed

    @invariant()
    def what_was_touched_is_as_predicted(self) -> None:
        for number in self.touched:
            self.compare_campaign(number)
        self.touched.clear()

    def compare_campaign(self, number: int) -> None:
        shown = self.port.view("campaign", number)
        if number not in self.model.campaigns:
            assert shown[2] == 0
            return
        assert shown == self.model.campaigns[number].seen()
        assert self.replay.campaigns[number] == self.model.campaigns[number]

    def teardown(self) -> None:
        try:
            self.compare_everything()
            assert not self.visitor.reentered()
            assert not self.moody.reentered()
        finally:
            self.anchor.__exit__(None, None, None)

    def compare_everything(self) -> None:
        assert self.port.view("campaign_count") == len(self.model.campaigns)
        assert self.replay.nonces == self.model.nonces
        for (sender, nonce), number in self.model.nonces.items():
            assert self.port.view("campaign_of", sender, nonce) == number
        for number, campaign in self.model.campaigns.items():
            self.compare_campaign(number)
            for index, gradient in enumerate(campaign.gradients):
                shown = self.port.view("gradient", number, index)
                assert shown == (gradient.miner, gradient.version, gradient.status)
        for token in self.tokens:
            for account in self.everyone:
                credit = self.model.credits[token, account]
                assert self.port.view("credit", token, account) == credit
                assert self.replay.credits[token, account] == credit


assert set(TAKING_FAILS) | set(GIVING_FAILS) <= set(MOODS)
