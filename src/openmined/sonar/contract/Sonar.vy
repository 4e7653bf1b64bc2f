# pragma version 0.4.3
# pragma evm-version cancun
# pragma optimize gas
# pragma nonreentrancy on
"""
@title Sonar
@license Apache-2.0
@author OpenMined contributors
@notice Holds a data scientist's bounty in trust while mines train her model on data that she never
        sees, and pays each mine for the accuracy that its gradient added:

            payout = (accuracy increase / target accuracy) x (bounty - fee)

@dev    One immutable contract: no owner, no upgrade, no pause, no loop over what grows unbounded.

        Parties: the *data scientist* launches a campaign and pays; the *capsule* she names opens
        it, scores gradients and delivers the model for a fee; *miners* submit gradients with a
        bond.

        Life of a campaign (time in unix seconds):

            LAUNCHED --open--> OPEN --deliver--> DELIVERED
               |  |             |
               |  cancel,       +--expire--> EXPIRED      anyone, after deadline + grace
               |  reject --> CANCELLED, REJECTED
               +--expire--> EXPIRED

        Money: every token that enters is owed to somebody until it leaves. After every call

            escrow[token] = sum of (bounty - paid) over campaigns that have not ended
                          + bonds of pending gradients
                          + credits not yet withdrawn

        and the contract's balance is at least that (more only if somebody forces ETH or tokens in).
        Payments are pulled: a call that ends something credits, `withdraw` pays out. So no party
        can hold up another by being absent or by refusing money.

        Tokens that rebase or take a fee on transfer are refused where they can be seen (the balance
        is measured around each transfer) and can harm only campaigns in that very token.

        Amounts are in the smallest unit of the campaign's token, the empty address being ETH.
        Accuracies are in parts per million (ppm). Digests are sha2-256 of a manifest's bytes.
"""


# ---------------------------------------------------------------------------------------- constants

# The version of this interface.
VERSION: public(constant(String[8])) = "1"

# 100 %, in parts per million.
PPM: public(constant(uint256)) = 1_000_000

# Most gradients that one call may score or reclaim.
MAX_BATCH: public(constant(uint256)) = 64

# Longest grace, in seconds (30 days): what a silent capsule can delay refunds by.
MAX_GRACE: public(constant(uint256)) = 2_592_000

# Phases of a campaign. 0 (NONE): there is no such campaign.
LAUNCHED: constant(uint256) = 1
OPEN: constant(uint256) = 2
DELIVERED: constant(uint256) = 3
REJECTED: constant(uint256) = 4
CANCELLED: constant(uint256) = 5
EXPIRED: constant(uint256) = 6

# States of a gradient. 0 (NONE): there is no such gradient.
GRADIENT_PENDING: constant(uint256) = 1
GRADIENT_SCORED: constant(uint256) = 2
GRADIENT_REJECTED: constant(uint256) = 3
GRADIENT_RECLAIMED: constant(uint256) = 4

# Reasons for rejecting a gradient: 0 accepted, 1..127 the bond is lost, 128..255 it is returned.
FIRST_FORGIVEN_REASON: constant(uint256) = 128
LAST_REASON: constant(uint256) = 255

# What a new gradient adds to a campaign's `Life` word: one to `gradients`, one to `pending`.
ONE_MORE_GRADIENT: constant(uint256) = 2**72 + 2**104

# Widest values of the packed fields.
MASK_8: constant(uint256) = 2**8 - 1
MASK_24: constant(uint256) = 2**24 - 1
MASK_32: constant(uint256) = 2**32 - 1
MASK_40: constant(uint256) = 2**40 - 1
MASK_96: constant(uint256) = 2**96 - 1
MASK_128: constant(uint256) = 2**128 - 1
MASK_160: constant(uint256) = 2**160 - 1


# ------------------------------------------------------------------------------------------ structs

# What a data scientist fixes when she launches. Only `bounty` ever changes: it grows.
struct Terms:
    spec: bytes32  # digest of the campaign manifest
    capsule: address  # who opens, scores and delivers
    token: address  # empty: ETH
    bounty: uint256  # the whole deposit, the fee included
    fee: uint256  # the capsule's, set aside first, paid on delivery; below the bounty
    bond: uint256  # deposited with each gradient, same token
    start_ppm: uint256  # accuracy claimed for the initial model
    start_tolerance_ppm: uint256  # by how much the measured one may differ
    target_ppm: uint256  # accuracy wanted; above the start
    min_improvement_ppm: uint256  # the Ladder step: a smaller gain pays nothing; at least 1
    deadline: uint256  # unix seconds; no gradient from then on
    grace: uint256  # seconds after it in which the capsule may still score and deliver
    max_gradients: uint256  # in the whole campaign
    max_batch: uint256  # gradients per scored batch


# One campaign as seen from outside.
struct Campaign:
    data_scientist: address
    terms: Terms  # `bounty` includes top-ups and lost bonds
    phase: uint8
    version: uint256  # of the model; 1 at opening
    epoch: uint256  # of the keys; 1 at opening
    start_ppm: uint256  # measured at opening; 0 before
    best_ppm: uint256  # paid for so far; 0 before opening
    gradients: uint256  # submitted
    pending: uint256  # submitted, neither scored nor reclaimed
    batches: uint256  # scored
    unspent: uint256  # of the bounty, the fee included; 0 once the campaign has ended
    paid: uint256  # to miners, bonds not counted


# The capsule's verdict on one gradient of a batch.
struct Score:
    gradient: uint256
    share_ppm: uint256  # of the batch's payment
    reason: uint256  # 0: accepted


# A campaign in storage: seven words, packed by hand; each of the first five has its struct below.
struct Record:
    life: uint256
    stake: uint256
    purse: uint256
    rules: uint256
    judge: uint256
    data_scientist: address
    spec: bytes32


# The packed words, unpacked. Widths in bits, from the lowest bit up.
# `Life` is all of a campaign that submitting a gradient changes.
struct Life:
    phase: uint256  # 8
    version: uint256  # 32
    epoch: uint256  # 32
    gradients: uint256  # 32
    pending: uint256  # 32
    max_gradients: uint256  # 32
    deadline: uint256  # 40
    best_ppm: uint256  # 24
    target_ppm: uint256  # 24


struct Stake:
    token: address  # 160
    bond: uint256  # 96


struct Purse:
    bounty: uint256  # 128
    paid: uint256  # 128


struct Rules:
    fee: uint256  # 128
    min_improvement_ppm: uint256  # 24
    claimed_ppm: uint256  # 24
    tolerance_ppm: uint256  # 24
    measured_ppm: uint256  # 24
    batches: uint256  # 32


struct Judge:
    capsule: address  # 160
    grace: uint256  # 32
    max_batch: uint256  # 8


# ------------------------------------------------------------------------------------------- events

# A campaign was launched and its bounty deposited.
event CampaignLaunched:
    campaign: indexed(uint256)
    data_scientist: indexed(address)
    capsule: indexed(address)
    nonce: bytes32
    terms: Terms


# `sender` added `amount`; `bounty` is the new whole.
event BountyToppedUp:
    campaign: indexed(uint256)
    sender: indexed(address)
    amount: uint256
    bounty: uint256


# The data scientist withdrew an unopened campaign; `refund` was credited to her.
event CampaignCancelled:
    campaign: indexed(uint256)
    refund: uint256


# The capsule declined an unopened campaign; `refund` was credited to the data scientist.
event CampaignRejected:
    campaign: indexed(uint256)
    reason: String[96]
    refund: uint256


# The capsule published keys and the first encrypted model, and measured its accuracy.
event CampaignOpened:
    campaign: indexed(uint256)
    keys: bytes32
    model: bytes32
    accuracy_ppm: uint256


# A miner submitted a gradient trained on `version`, sealed to the capsule.
event GradientSubmitted:
    campaign: indexed(uint256)
    miner: indexed(address)
    gradient: uint256
    version: uint256
    envelope: bytes32


# One gradient was scored or rejected; its miner was credited `payout + bond_returned`.
event GradientScored:
    campaign: indexed(uint256)
    miner: indexed(address)
    gradient: uint256
    batch: uint256
    share_ppm: uint256
    payout: uint256
    reason: uint256
    bond_returned: uint256


# A batch was scored. `accuracy_ppm` as reported; the rest as it stands afterwards, but `paid` and
# `forfeited`, which are this batch's.
event BatchScored:
    campaign: indexed(uint256)
    batch: uint256
    accuracy_ppm: uint256
    best_ppm: uint256
    version: uint256
    model: bytes32
    receipt: bytes32
    paid: uint256
    forfeited: uint256
    bounty: uint256


# The capsule changed the campaign's keys and re-encrypted the model.
event KeysRotated:
    campaign: indexed(uint256)
    epoch: uint256
    version: uint256
    keys: bytes32
    model: bytes32


# The final model was delivered; `fee` was credited to the capsule, `refund` to the data scientist.
event CampaignDelivered:
    campaign: indexed(uint256)
    delivery: bytes32
    fee: uint256
    refund: uint256


# The capsule fell silent; `refund` (the fee included) was credited to the data scientist.
event CampaignExpired:
    campaign: indexed(uint256)
    sender: indexed(address)
    refund: uint256


# The bond of a gradient that was never scored was credited to its miner.
event BondReclaimed:
    campaign: indexed(uint256)
    miner: indexed(address)
    gradient: uint256
    amount: uint256


# `account` was paid its whole credit in `token`.
event Withdrawn:
    token: indexed(address)
    account: indexed(address)
    amount: uint256


# ------------------------------------------------------------------------------------------ storage

# @notice How many campaigns were ever launched; they are numbered from 1.
campaign_count: public(uint256)

# @notice data scientist -> nonce -> campaign (0: unused).
campaign_of: public(HashMap[address, HashMap[bytes32, uint256]])

# @notice token -> account -> what `withdraw` would pay.
credit: public(HashMap[address, HashMap[address, uint256]])

# @notice token -> all that the contract owes in it.
escrow: public(HashMap[address, uint256])

# campaign -> its seven words.
_records: HashMap[uint256, Record]

# campaign -> gradient -> miner 160, version 32, status 8 (from the lowest bit up).
# The envelope's digest stands in the event only.
_gradients: HashMap[uint256, HashMap[uint256, uint256]]


# -------------------------------------------------------------------------------------- constructor


@deploy
def __init__():
    """
    @notice Deploys Sonar. Takes no ETH: without a constructor Vyper's would, and it would be lost.
    """
    pass


# ------------------------------------------------------------------------------ the data scientist


@external
@payable
def launch_campaign(nonce: bytes32, terms: Terms) -> uint256:
    """
    @notice Launches a campaign and deposits its bounty.
    @dev    A nonce is used once per sender, so that a launch sent twice is one campaign.
            Bounty and all bonds together fit 128 bits: lost bonds can never overflow the bounty.
    @param  nonce Any value that the sender has not used; `campaign_of` tells.
    @param  terms What is frozen from now on. In ETH, `msg.value` is `terms.bounty`.
    @return The campaign's number.
    """
    assert self.campaign_of[msg.sender][nonce] == 0, "Sonar: nonce used"
    assert terms.capsule != empty(address), "Sonar: no capsule"
    assert terms.capsule != msg.sender, "Sonar: capsule is the payer"
    assert terms.bounty != 0, "Sonar: no bounty"
    assert terms.bounty <= MASK_128, "Sonar: bounty too large"
    assert terms.fee < terms.bounty, "Sonar: fee not below bounty"
    assert terms.bond <= MASK_96, "Sonar: bond too large"
    assert terms.target_ppm <= PPM, "Sonar: target above 100 %"
    assert terms.start_ppm < terms.target_ppm, "Sonar: target not above start"
    assert terms.start_tolerance_ppm <= PPM, "Sonar: tolerance above 100 %"
    assert terms.min_improvement_ppm != 0, "Sonar: no improvement step"
    assert terms.min_improvement_ppm <= PPM, "Sonar: step above 100 %"
    assert terms.deadline > block.timestamp, "Sonar: deadline in the past"
    assert terms.deadline <= MASK_40, "Sonar: deadline too far"
    assert terms.grace != 0, "Sonar: no grace"
    assert terms.grace <= MAX_GRACE, "Sonar: grace too long"
    assert terms.max_gradients != 0, "Sonar: no gradients allowed"
    assert terms.max_gradients <= MASK_32, "Sonar: too many gradients"
    assert terms.max_batch != 0, "Sonar: no batch allowed"
    assert terms.max_batch <= MAX_BATCH, "Sonar: batches too large"
    assert terms.bounty + terms.bond * terms.max_gradients <= MASK_128, "Sonar: bonds too large"

    campaign: uint256 = self.campaign_count + 1
    self.campaign_count = campaign
    self.campaign_of[msg.sender][nonce] = campaign
    self._records[campaign] = Record(
        life=self._pack_life(
            Life(
                phase=LAUNCHED,
                version=0,
                epoch=0,
                gradients=0,
                pending=0,
                max_gradients=terms.max_gradients,
                deadline=terms.deadline,
                best_ppm=0,
                target_ppm=terms.target_ppm,
            )
        ),
        stake=convert(terms.token, uint256) | (terms.bond << 160),
        purse=terms.bounty,
        rules=self._pack_rules(
            Rules(
                fee=terms.fee,
                min_improvement_ppm=terms.min_improvement_ppm,
                claimed_ppm=terms.start_ppm,
                tolerance_ppm=terms.start_tolerance_ppm,
                measured_ppm=0,
                batches=0,
            )
        ),
        judge=convert(terms.capsule, uint256) | (terms.grace << 160) | (terms.max_batch << 192),
        data_scientist=msg.sender,
        spec=terms.spec,
    )
    log CampaignLaunched(
        campaign=campaign,
        data_scientist=msg.sender,
        capsule=terms.capsule,
        nonce=nonce,
        terms=terms,
    )
    self._take(terms.token, terms.bounty)
    return campaign


@external
@payable
def top_up(campaign: uint256, amount: uint256):
    """
    @notice Adds to a campaign's bounty. Anyone may; what is unspent goes to the data scientist.
    @dev    Later payments are reckoned on the larger bounty; earlier ones stand. The bounty and the
            bonds that it may yet gain keep within 128 bits.
    @param  campaign Its number. Not ended, before its deadline, below its target.
    @param  amount How much. In ETH, `msg.value` is the same.
    """
    life: Life = self._life(campaign)
    assert life.phase <= OPEN, "Sonar: campaign has ended"
    assert block.timestamp < life.deadline, "Sonar: past the deadline"
    assert life.best_ppm < life.target_ppm, "Sonar: target reached"
    assert amount != 0, "Sonar: no amount"

    stake: Stake = self._stake(campaign)
    purse: Purse = self._purse(campaign)
    bonds: uint256 = stake.bond * (life.max_gradients - life.gradients + life.pending)
    assert amount <= MASK_128 - purse.bounty - bonds, "Sonar: amount too large"
    purse.bounty += amount
    self._records[campaign].purse = self._pack_purse(purse)
    log BountyToppedUp(
        campaign=campaign, sender=msg.sender, amount=amount, bounty=purse.bounty
    )
    self._take(stake.token, amount)


@external
def cancel_campaign(campaign: uint256):
    """
    @notice Takes back a campaign that the capsule has not opened; credits the whole bounty.
    @param  campaign Its number. The data scientist's own, LAUNCHED.
    """
    life: Life = self._life(campaign)
    assert msg.sender == self._records[campaign].data_scientist, "Sonar: not the data scientist"
    assert life.phase == LAUNCHED, "Sonar: not awaiting the capsule"
    refund: uint256 = self._end(campaign, life, CANCELLED, 0)
    log CampaignCancelled(campaign=campaign, refund=refund)


# -------------------------------------------------------------------------------------- the capsule


@external
def reject_campaign(campaign: uint256, reason: String[96]):
    """
    @notice Declines a campaign; credits the whole bounty to the data scientist.
    @param  campaign Its number. LAUNCHED.
    @param  reason In words, for the data scientist.
    """
    life: Life = self._life(campaign)
    judge: Judge = self._judge(campaign)
    assert msg.sender == judge.capsule, "Sonar: not the capsule"
    assert life.phase == LAUNCHED, "Sonar: not awaiting the capsule"
    refund: uint256 = self._end(campaign, life, REJECTED, 0)
    log CampaignRejected(campaign=campaign, reason=reason, refund=refund)


@external
def open_campaign(campaign: uint256, keys: bytes32, model: bytes32, accuracy_ppm: uint256):
    """
    @notice Opens a campaign with its keys and the first encrypted model.
    @param  campaign Its number. LAUNCHED, before its deadline.
    @param  keys Digest of the keys manifest.
    @param  model Digest of the model manifest, version 1.
    @param  accuracy_ppm Measured by the capsule: within the tolerance of what was claimed, and
            below the target. Payments count from here.
    """
    life: Life = self._life(campaign)
    judge: Judge = self._judge(campaign)
    assert msg.sender == judge.capsule, "Sonar: not the capsule"
    assert life.phase == LAUNCHED, "Sonar: not awaiting the capsule"
    assert block.timestamp < life.deadline, "Sonar: past the deadline"
    rules: Rules = self._rules(campaign)
    assert accuracy_ppm < life.target_ppm, "Sonar: start not below target"
    assert accuracy_ppm <= rules.claimed_ppm + rules.tolerance_ppm, "Sonar: start above the claim"
    assert accuracy_ppm + rules.tolerance_ppm >= rules.claimed_ppm, "Sonar: start below the claim"

    life.phase = OPEN
    life.version = 1
    life.epoch = 1
    life.best_ppm = accuracy_ppm
    rules.measured_ppm = accuracy_ppm
    self._records[campaign].life = self._pack_life(life)
    self._records[campaign].rules = self._pack_rules(rules)
    log CampaignOpened(campaign=campaign, keys=keys, model=model, accuracy_ppm=accuracy_ppm)


@external
def score_batch(
    campaign: uint256,
    batch: uint256,
    version: uint256,
    accuracy_ppm: uint256,
    model: bytes32,
    receipt: bytes32,
    scores: DynArray[Score, MAX_BATCH],
):
    """
    @notice Scores a batch of gradients by the one accuracy they reach together; credits the miners.
    @dev    With best' = min(accuracy, target), a batch counts if best' is the Ladder step above the
            best so far, or reaches the target for the first time. Then

                total  = (best' - best) * (bounty - fee) // target
                payout = total * share // PPM          rounded down, the dust stays in the bounty

            Beyond a target that was reached nothing counts.

            The increases of a campaign sum to at most the target and the bounty only grows, so no
            sequence of batches pays more than bounty - fee. Bonds lost here raise the bounty for
            the batches after this one.

            A report names its place, because a chain that is reorganised can lose the call before
            it: it would count from another best and make another version than it was made for.
    @param  campaign Its number. OPEN, until deadline + grace.
    @param  batch The batch's number, from 1: one more than were scored before it.
    @param  version Of the model that the batch was scored on: the current one.
    @param  accuracy_ppm Of the model after this batch, on the validation set.
    @param  model Digest of the next model manifest; empty leaves the version as it is.
    @param  receipt Digest of the receipt, from which anyone can check this call.
    @param  scores One verdict for each gradient. Shares sum to 100 % if the batch counts and are
            all zero if it does not; a rejected gradient has none.
    """
    life: Life = self._life(campaign)
    judge: Judge = self._judge(campaign)
    self._assert_capsule_may_act(life, judge)
    assert accuracy_ppm <= PPM, "Sonar: accuracy above 100 %"
    assert len(scores) != 0, "Sonar: empty batch"
    assert len(scores) <= judge.max_batch, "Sonar: batch too large"

    stake: Stake = self._stake(campaign)
    purse: Purse = self._purse(campaign)
    rules: Rules = self._rules(campaign)
    rules.batches += 1
    assert batch == rules.batches, "Sonar: another batch is due"
    assert version == life.version, "Sonar: another version is current"

    best_ppm: uint256 = self._best_after(accuracy_ppm, life, rules)
    shares_due: uint256 = PPM if best_ppm > life.best_ppm else 0
    total: uint256 = (best_ppm - life.best_ppm) * (purse.bounty - rules.fee) // life.target_ppm
    life.best_ppm = best_ppm

    shares: uint256 = 0
    paid: uint256 = 0
    forfeited: uint256 = 0
    for score: Score in scores:
        word: uint256 = self._gradients[campaign][score.gradient]
        assert word >> 192 == GRADIENT_PENDING, "Sonar: gradient not pending"
        assert score.reason <= LAST_REASON, "Sonar: unknown reason"
        assert score.share_ppm <= PPM, "Sonar: share above 100 %"

        payout: uint256 = 0
        bond_returned: uint256 = stake.bond
        status: uint256 = GRADIENT_SCORED
        if score.reason == 0:
            payout = total * score.share_ppm // PPM
            shares += score.share_ppm
            paid += payout
        else:
            assert score.share_ppm == 0, "Sonar: share for a rejected gradient"
            status = GRADIENT_REJECTED
            if score.reason < FIRST_FORGIVEN_REASON:
                bond_returned = 0
                forfeited += stake.bond

        miner: address = self._miner(word)
        self._gradients[campaign][score.gradient] = word + ((status - GRADIENT_PENDING) << 192)
        self._credit(stake.token, miner, payout + bond_returned)
        log GradientScored(
            campaign=campaign,
            miner=miner,
            gradient=score.gradient,
            batch=batch,
            share_ppm=score.share_ppm,
            payout=payout,
            reason=score.reason,
            bond_returned=bond_returned,
        )
    assert shares == shares_due, "Sonar: wrong sum of shares"

    if model != empty(bytes32):
        life.version = self._next(life.version)
    life.pending -= len(scores)
    purse.paid += paid
    purse.bounty += forfeited
    self._records[campaign].life = self._pack_life(life)
    self._records[campaign].purse = self._pack_purse(purse)
    self._records[campaign].rules = self._pack_rules(rules)
    log BatchScored(
        campaign=campaign,
        batch=batch,
        accuracy_ppm=accuracy_ppm,
        best_ppm=life.best_ppm,
        version=life.version,
        model=model,
        receipt=receipt,
        paid=paid,
        forfeited=forfeited,
        bounty=purse.bounty,
    )


@external
def rotate_keys(campaign: uint256, version: uint256, keys: bytes32, model: bytes32):
    """
    @notice Replaces the campaign's keys; the same model, encrypted anew, is the next version.
    @param  campaign Its number. OPEN, until deadline + grace.
    @param  version Of the model that was encrypted anew: the current one.
    @param  keys Digest of the new keys manifest.
    @param  model Digest of the new model manifest.
    """
    life: Life = self._life(campaign)
    judge: Judge = self._judge(campaign)
    self._assert_capsule_may_act(life, judge)
    assert version == life.version, "Sonar: another version is current"
    life.epoch = self._next(life.epoch)
    life.version = self._next(life.version)
    self._records[campaign].life = self._pack_life(life)
    log KeysRotated(
        campaign=campaign, epoch=life.epoch, version=life.version, keys=keys, model=model
    )


@external
def deliver(campaign: uint256, batch: uint256, delivery: bytes32):
    """
    @notice Delivers the final model: credits the fee to the capsule, the rest to the data
            scientist.
    @dev    Gradients still pending are not lost: `reclaim_bonds`.
    @param  campaign Its number. OPEN, until deadline + grace; the target reached, or the deadline,
            or the last gradient that it allows scored.
    @param  batch Number of the last batch scored, 0 if none was: what went into the model and was
            not paid for, because the chain lost its report, is not delivered.
    @param  delivery Digest of the delivery manifest.
    """
    life: Life = self._life(campaign)
    judge: Judge = self._judge(campaign)
    self._assert_capsule_may_act(life, judge)
    assert (
        life.best_ppm >= life.target_ppm
        or block.timestamp >= life.deadline
        or (life.gradients == life.max_gradients and life.pending == 0)
    ), "Sonar: not finished"
    rules: Rules = self._rules(campaign)
    assert batch == rules.batches, "Sonar: not the last batch"
    refund: uint256 = self._end(campaign, life, DELIVERED, rules.fee)
    self._credit(self._stake(campaign).token, judge.capsule, rules.fee)
    log CampaignDelivered(
        campaign=campaign, delivery=delivery, fee=rules.fee, refund=refund
    )


# --------------------------------------------------------------------------------------- the miners


@external
@payable
def submit_gradient(campaign: uint256, version: uint256, envelope: bytes32) -> uint256:
    """
    @notice Submits a gradient, sealed to the capsule, with its bond.
    @param  campaign Its number. OPEN, before its deadline, below its target.
    @param  version Of the model that the gradient was trained on; not above the current one.
    @param  envelope Digest of the gradient manifest. In ETH, `msg.value` is the bond.
    @return The gradient's number in this campaign, from 0.
    """
    # The one call that everybody pays for often: it reads the packed word in place.
    word: uint256 = self._records[campaign].life
    if word & MASK_8 != OPEN:
        assert word != 0, "Sonar: unknown campaign"
        raise "Sonar: not open"
    assert block.timestamp < (word >> 168) & MASK_40, "Sonar: past the deadline"
    assert (word >> 208) & MASK_24 < word >> 232, "Sonar: target reached"
    assert version != 0, "Sonar: versions start at 1"
    assert version <= (word >> 8) & MASK_32, "Sonar: version not published"
    gradient: uint256 = (word >> 72) & MASK_32
    assert gradient < (word >> 136) & MASK_32, "Sonar: no gradients left"

    self._records[campaign].life = word + ONE_MORE_GRADIENT
    self._gradients[campaign][gradient] = (
        convert(msg.sender, uint256) | (version << 160) | (GRADIENT_PENDING << 192)
    )
    log GradientSubmitted(
        campaign=campaign,
        miner=msg.sender,
        gradient=gradient,
        version=version,
        envelope=envelope,
    )
    stake: uint256 = self._records[campaign].stake
    self._take(convert(stake & MASK_160, address), stake >> 160)
    return gradient


# ------------------------------------------------------------------------------------------- anyone


@external
def expire_campaign(campaign: uint256):
    """
    @notice Ends a campaign whose capsule fell silent; credits what is unspent, the fee included,
            to the data scientist.
    @param  campaign Its number. LAUNCHED or OPEN, after deadline + grace.
    """
    life: Life = self._life(campaign)
    judge: Judge = self._judge(campaign)
    assert life.phase <= OPEN, "Sonar: campaign has ended"
    assert block.timestamp > life.deadline + judge.grace, "Sonar: grace not over"
    refund: uint256 = self._end(campaign, life, EXPIRED, 0)
    log CampaignExpired(campaign=campaign, sender=msg.sender, refund=refund)


@external
def reclaim_bonds(campaign: uint256, gradients: DynArray[uint256, MAX_BATCH]):
    """
    @notice Credits the bonds of gradients that were never scored to their miners.
    @dev    Passes over those that are not pending (any more), so that nobody can spoil a call by
            reclaiming one of them first.
    @param  campaign Its number. DELIVERED or EXPIRED.
    @param  gradients Their numbers; at least one is pending.
    """
    life: Life = self._life(campaign)
    assert life.phase == DELIVERED or life.phase == EXPIRED, "Sonar: campaign has not ended"
    stake: Stake = self._stake(campaign)
    reclaimed: uint256 = 0
    for gradient: uint256 in gradients:
        word: uint256 = self._gradients[campaign][gradient]
        if word >> 192 == GRADIENT_PENDING:
            reclaimed += 1
            miner: address = self._miner(word)
            self._gradients[campaign][gradient] = (
                word + ((GRADIENT_RECLAIMED - GRADIENT_PENDING) << 192)
            )
            self._credit(stake.token, miner, stake.bond)
            log BondReclaimed(
                campaign=campaign, miner=miner, gradient=gradient, amount=stake.bond
            )
    assert reclaimed != 0, "Sonar: no bond to reclaim"

    life.pending -= reclaimed
    self._records[campaign].life = self._pack_life(life)


@external
def withdraw(token: address):
    """
    @notice Pays the sender all that it is owed in `token`.
    @param  token Its address; empty: ETH.
    """
    amount: uint256 = self.credit[token][msg.sender]
    assert amount != 0, "Sonar: no credit"
    self.credit[token][msg.sender] = 0
    self.escrow[token] -= amount
    log Withdrawn(token=token, account=msg.sender, amount=amount)
    self._give(token, msg.sender, amount)


# -------------------------------------------------------------------------------------------- views


@external
@view
def campaign(campaign: uint256) -> Campaign:
    """
    @notice All that is known of a campaign.
    @param  campaign Its number.
    @return Its state; phase 0 (NONE) and zeros if there is no such campaign.
    """
    record: Record = self._records[campaign]
    life: Life = self._unpack_life(record.life)
    stake: Stake = self._stake(campaign)
    purse: Purse = self._purse(campaign)
    rules: Rules = self._rules(campaign)
    judge: Judge = self._judge(campaign)
    unspent: uint256 = 0
    if life.phase <= OPEN:
        unspent = purse.bounty - purse.paid
    return Campaign(
        data_scientist=record.data_scientist,
        terms=Terms(
            spec=record.spec,
            capsule=judge.capsule,
            token=stake.token,
            bounty=purse.bounty,
            fee=rules.fee,
            bond=stake.bond,
            start_ppm=rules.claimed_ppm,
            start_tolerance_ppm=rules.tolerance_ppm,
            target_ppm=life.target_ppm,
            min_improvement_ppm=rules.min_improvement_ppm,
            deadline=life.deadline,
            grace=judge.grace,
            max_gradients=life.max_gradients,
            max_batch=judge.max_batch,
        ),
        phase=convert(life.phase, uint8),
        version=life.version,
        epoch=life.epoch,
        start_ppm=rules.measured_ppm,
        best_ppm=life.best_ppm,
        gradients=life.gradients,
        pending=life.pending,
        batches=rules.batches,
        unspent=unspent,
        paid=purse.paid,
    )


@external
@view
def gradient(campaign: uint256, gradient: uint256) -> (address, uint256, uint256):
    """
    @notice One gradient.
    @param  campaign The campaign's number.
    @param  gradient Its number in the campaign.
    @return Its miner, the model version it was trained on, and its status; zeros if there is none.
    """
    word: uint256 = self._gradients[campaign][gradient]
    return self._miner(word), (word >> 160) & MASK_32, word >> 192


# ---------------------------------------------------------------------------------- rules and money


@internal
@view
def _assert_capsule_may_act(life: Life, judge: Judge):
    """
    @dev    The sender is the capsule of an open campaign, and its time is not over.
    @param  life The campaign's hot word.
    @param  judge The campaign's capsule and its limits.
    """
    assert msg.sender == judge.capsule, "Sonar: not the capsule"
    assert life.phase == OPEN, "Sonar: not open"
    assert block.timestamp <= life.deadline + judge.grace, "Sonar: grace is over"


@internal
@pure
def _best_after(accuracy_ppm: uint256, life: Life, rules: Rules) -> uint256:
    """
    @dev    The best accuracy after a batch: higher than before if and only if the batch counts.
    @param  accuracy_ppm What the batch reached.
    @param  life The campaign's hot word.
    @param  rules The campaign's rules.
    @return At most the target.
    """
    reached_ppm: uint256 = min(accuracy_ppm, life.target_ppm)
    counts: bool = (
        reached_ppm >= life.best_ppm + rules.min_improvement_ppm or reached_ppm == life.target_ppm
    )
    return reached_ppm if counts else life.best_ppm


@internal
def _end(campaign: uint256, life: Life, phase: uint256, fee: uint256) -> uint256:
    """
    @dev    Ends a campaign; credits all but `fee` of what is unspent to the data scientist.
    @param  campaign Its number.
    @param  life Its hot word, as the caller read it.
    @param  phase The phase that it ends in.
    @param  fee What the caller credits to the capsule.
    @return The amount refunded.
    """
    ended: Life = life
    ended.phase = phase
    self._records[campaign].life = self._pack_life(ended)
    purse: Purse = self._purse(campaign)
    refund: uint256 = purse.bounty - purse.paid - fee
    self._credit(self._stake(campaign).token, self._records[campaign].data_scientist, refund)
    return refund


@internal
def _credit(token: address, account: address, amount: uint256):
    """
    @dev    Owes `amount` to `account`. It is in escrow already: credits only change whose it is.
    @param  token In which it is owed.
    @param  account To whom.
    @param  amount How much; zero writes nothing.
    """
    if amount != 0:
        self.credit[token][account] += amount


@internal
@payable
def _take(token: address, amount: uint256):
    """
    @dev    Takes a deposit from the sender into escrow. The last step of its callers.
    @param  token The campaign's.
    @param  amount Due in that token: `msg.value` is the same for ETH, and zero for an ERC-20.
    """
    if token == empty(address):
        assert msg.value == amount, "Sonar: wrong amount of ETH"
    else:
        assert msg.value == 0, "Sonar: ETH with a token"
    if amount != 0:
        self.escrow[token] += amount
        if token != empty(address):
            self._take_token(token, amount)


@internal
def _take_token(token: address, amount: uint256):
    """
    @dev    Transfers exactly `amount` of an ERC-20 from the sender, measured.
    @param  token The ERC-20.
    @param  amount What this contract's balance must grow by.
    """
    balance: uint256 = self._balance(token)
    self._call_token(
        token,
        abi_encode(
            msg.sender, self, amount, method_id=method_id("transferFrom(address,address,uint256)")
        ),
    )
    assert self._balance(token) == balance + amount, "Sonar: token took another amount"


@internal
def _give(token: address, account: address, amount: uint256):
    """
    @dev    Pays out of the contract. The last step of its caller.
    @param  token In which.
    @param  account To whom; a contract gets all gas, but cannot come back in.
    @param  amount What this contract's balance must shrink by.
    """
    if token == empty(address):
        assert raw_call(
            account, b"", value=amount, revert_on_failure=False
        ), "Sonar: account refused ETH"
    else:
        balance: uint256 = self._balance(token)
        self._call_token(
            token, abi_encode(account, amount, method_id=method_id("transfer(address,uint256)"))
        )
        assert self._balance(token) + amount == balance, "Sonar: token gave another amount"


@internal
def _call_token(token: address, data: Bytes[100]):
    """
    @dev    Calls an ERC-20. Its answer may be empty or a word that is exactly `True`; anything else
            is a failure. `_balance` has made sure that there is code.
    @param  token The ERC-20.
    @param  data The call, encoded.
    """
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(token, data, max_outsize=32, revert_on_failure=False)
    assert success, "Sonar: token call failed"
    if len(answer) != 0:
        assert len(answer) == 32, "Sonar: token answered nonsense"
        assert convert(answer, uint256) == 1, "Sonar: token said no"


@internal
@view
def _balance(token: address) -> uint256:
    """
    @dev    This contract's balance of an ERC-20.
    @param  token The ERC-20.
    @return As the token says; it cannot change anything while it is asked.
    """
    assert token.is_contract, "Sonar: token has no code"
    success: bool = False
    answer: Bytes[32] = b""
    success, answer = raw_call(
        token,
        abi_encode(self, method_id=method_id("balanceOf(address)")),
        max_outsize=32,
        is_static_call=True,
        revert_on_failure=False,
    )
    assert success, "Sonar: token has no balance"
    assert len(answer) == 32, "Sonar: token balance is nonsense"
    return convert(answer, uint256)


# ------------------------------------------------------------------------------------ packed fields


@internal
@pure
def _next(counter: uint256) -> uint256:
    """
    @dev    One more, within 32 bits: a counter never spills into its neighbour.
    @param  counter A version or an epoch.
    @return The next.
    """
    assert counter != MASK_32, "Sonar: counter exhausted"
    return counter + 1


@internal
@pure
def _miner(word: uint256) -> address:
    """
    @dev    The miner of a gradient.
    @param  word As stored in `_gradients`.
    @return Its address.
    """
    return convert(word & MASK_160, address)


@internal
@view
def _life(campaign: uint256) -> Life:
    """
    @dev    The hot word of a campaign, which must exist, unpacked.
    @param  campaign Its number.
    @return Its `Life`.
    """
    word: uint256 = self._records[campaign].life
    assert word != 0, "Sonar: unknown campaign"
    return self._unpack_life(word)


@internal
@pure
def _unpack_life(word: uint256) -> Life:
    """
    @dev    Inverse of `_pack_life`.
    @param  word As stored.
    @return Its fields.
    """
    return Life(
        phase=word & MASK_8,
        version=(word >> 8) & MASK_32,
        epoch=(word >> 40) & MASK_32,
        gradients=(word >> 72) & MASK_32,
        pending=(word >> 104) & MASK_32,
        max_gradients=(word >> 136) & MASK_32,
        deadline=(word >> 168) & MASK_40,
        best_ppm=(word >> 208) & MASK_24,
        target_ppm=word >> 232,
    )


@internal
@pure
def _pack_life(life: Life) -> uint256:
    """
    @dev    Fields fit: checked at launch, or counted by `_next`, or bounded by one that is.
    @param  life The fields.
    @return The word to store.
    """
    return (
        life.phase
        | (life.version << 8)
        | (life.epoch << 40)
        | (life.gradients << 72)
        | (life.pending << 104)
        | (life.max_gradients << 136)
        | (life.deadline << 168)
        | (life.best_ppm << 208)
        | (life.target_ppm << 232)
    )


@internal
@view
def _stake(campaign: uint256) -> Stake:
    """
    @dev    A campaign's token and bond.
    @param  campaign Its number.
    @return Its `Stake`.
    """
    word: uint256 = self._records[campaign].stake
    return Stake(token=convert(word & MASK_160, address), bond=word >> 160)


@internal
@view
def _purse(campaign: uint256) -> Purse:
    """
    @dev    A campaign's bounty and what of it was paid.
    @param  campaign Its number.
    @return Its `Purse`.
    """
    word: uint256 = self._records[campaign].purse
    return Purse(bounty=word & MASK_128, paid=word >> 128)


@internal
@pure
def _pack_purse(purse: Purse) -> uint256:
    """
    @dev    Inverse of `_purse`. The bounty fits: launch and top-up leave room for every bond.
    @param  purse The fields.
    @return The word to store.
    """
    return purse.bounty | (purse.paid << 128)


@internal
@view
def _rules(campaign: uint256) -> Rules:
    """
    @dev    A campaign's fee, accuracies and count of batches.
    @param  campaign Its number.
    @return Its `Rules`.
    """
    word: uint256 = self._records[campaign].rules
    return Rules(
        fee=word & MASK_128,
        min_improvement_ppm=(word >> 128) & MASK_24,
        claimed_ppm=(word >> 152) & MASK_24,
        tolerance_ppm=(word >> 176) & MASK_24,
        measured_ppm=(word >> 200) & MASK_24,
        batches=word >> 224,
    )


@internal
@pure
def _pack_rules(rules: Rules) -> uint256:
    """
    @dev    Inverse of `_rules`. Batches are at most as many as gradients: none is empty.
    @param  rules The fields.
    @return The word to store.
    """
    return (
        rules.fee
        | (rules.min_improvement_ppm << 128)
        | (rules.claimed_ppm << 152)
        | (rules.tolerance_ppm << 176)
        | (rules.measured_ppm << 200)
        | (rules.batches << 224)
    )


@internal
@view
def _judge(campaign: uint256) -> Judge:
    """
    @dev    A campaign's capsule and its limits.
    @param  campaign Its number.
    @return Its `Judge`.
    """
    word: uint256 = self._records[campaign].judge
    return Judge(
        capsule=convert(word & MASK_160, address),
        grace=(word >> 160) & MASK_32,
        max_batch=word >> 192,
    )
