"""Gathering a batch: when it is due, and the sealed bytes of its gradients."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from openmined.capsule._bench import Bench
from openmined.capsule._context import Context
from openmined.capsule._envelopes import EnvelopeMissing, RefusedGradient, fetch_envelope
from openmined.capsule._errors import GradientRefused
from openmined.capsule._state import Pending
from openmined.protocol import Reason
from openmined.sonar import CampaignState


@dataclass(frozen=True)
class Gathered:
    """The gradients of the next batch: sealed bytes, and those refused unopened."""

    sealed: tuple[tuple[Pending, bytes], ...]
    refused: tuple[RefusedGradient, ...]

    @property
    def size(self) -> int:
        """How many gradients the batch has."""
        return len(self.sealed) + len(self.refused)

    @property
    def everyone(self) -> list[Pending]:
        """Every gradient of the batch, by number."""
        found = [one for one, _ in self.sealed] + [r.pending for r in self.refused]
        return sorted(found, key=lambda one: one.gradient)


def batch_is_due(
    bench: Bench, chain: CampaignState, pending: Sequence[Pending], *, closed: bool
) -> bool:
    """Whether what is pending is to be scored now rather than waited upon."""
    if not pending:
        return False
    scoring = bench.manifest.scoring
    full = min(scoring.batch, chain.terms.max_batch)
    waited = time.time() - pending[0].seen_at
    if waited < 0:  # seen while the clock was ahead: nobody knows for how long it has waited
        waited = scoring.window_s
    exhausted = chain.gradients >= chain.terms.max_gradients
    return len(pending) >= full or waited >= scoring.window_s or closed or exhausted


def gather(
    ctx: Context, bench: Bench, chain: CampaignState, pending: Sequence[Pending]
) -> Gathered:
    """Fetch the envelopes of the next batch; who is over quota is not even fetched.

    Raises:
        StorageError: if the store does not answer at all.
    """
    most = min(bench.manifest.scoring.batch, chain.terms.max_batch)
    sealed: list[tuple[Pending, bytes]] = []
    refused: list[RefusedGradient] = []
    for one in pending:
        if len(sealed) + len(refused) >= most:
            break
        quota = bench.manifest.scoring.quota
        if one.rank >= quota:
            note = f"a mine may submit {quota} gradients to this campaign"
            refused.append(RefusedGradient(one, Reason.OVER_QUOTA, note))
            continue
        try:
            data = fetch_envelope(ctx.store, one, ctx.settings.limits.envelope_mb << 20)
            sealed.append((one, data))
        except GradientRefused as refusal:
            refused.append(RefusedGradient(one, refusal.reason, refusal.note))
        except EnvelopeMissing as missing:
            if _given_up(ctx, bench, chain, one):
                note = f"not on the store: {missing}"
                refused.append(RefusedGradient(one, Reason.UNAVAILABLE, note))
    return Gathered(tuple(sealed), tuple(refused))


def _given_up(ctx: Context, bench: Bench, chain: CampaignState, one: Pending) -> bool:
    # A store that gives nothing at all is down: that is not the gradient's fault.
    ctx.store.get_manifest_bytes(chain.terms.spec)
    since = ctx.state.missing_since(bench.campaign, one.gradient)
    waited = time.time() - since
    ctx.log.write_change(
        f"missing {bench.campaign} {one.gradient}",
        "waiting",
        campaign=bench.campaign,
        whom="store",
        what=f"envelope of gradient {one.gradient} by {one.miner}",
    )
    return waited >= ctx.settings.loop.unavailable_after_s


def refetch(ctx: Context, gradients: Sequence[Pending]) -> Gathered:
    """Fetch the envelopes of gradients that were scored already.

    Raises:
        EnvelopeMissing: if the store does not have one (now).
    """
    sealed: list[tuple[Pending, bytes]] = []
    refused: list[RefusedGradient] = []
    for one in gradients:
        try:
            data = fetch_envelope(ctx.store, one, ctx.settings.limits.envelope_mb << 20)
            sealed.append((one, data))
        except GradientRefused as refusal:
            refused.append(RefusedGradient(one, refusal.reason, refusal.note))
    return Gathered(tuple(sealed), tuple(refused))
