/** What went wrong with a wallet or a transaction, in words. */

import { Refusal } from "@openmined/shared/ui";
import {
  BaseError,
  ContractFunctionRevertedError,
  InsufficientFundsError,
  UserRejectedRequestError,
  WaitForTransactionReceiptTimeoutError,
} from "viem";
import { StillWaiting } from "./StillWaiting";

const REFUSED = 4001;
const KEPT = "Nothing was deposited; the allowance you gave can be taken back in the wallet.";
const REASONS: Readonly<Record<string, string>> = {
  "nonce used": "This very launch is on the chain already: look at your campaigns before you launch again.",
  "deadline in the past": "The deadline has passed while you were deciding: choose a later one.",
  "deadline too far": "The deadline is too far ahead: choose a nearer one.",
  "past the deadline": "The campaign's deadline has passed.",
  "not awaiting the capsule": "Capsule has opened or rejected the campaign meanwhile: load the page again.",
  "not the data scientist": "Only the account that launched the campaign can do this: choose it in your wallet.",
  "grace not over": "Capsule still has time to deliver: try again when deadline and grace are over.",
  "campaign has ended": "The campaign has ended meanwhile.",
  "target reached": "The campaign has reached its target meanwhile.",
  "no credit": "There is nothing to withdraw for this account.",
  "capsule is the payer": "Capsule cannot pay for its own campaign: use another account.",
  "token call failed": `The token’s contract refused the transfer. ${KEPT}`,
  "token said no": `The token’s contract refused the transfer. ${KEPT}`,
  "token gave another amount": `This token moves other amounts than it is told: it cannot be used here. ${KEPT}`,
  "token took another amount": `This token moves other amounts than it is told: it cannot be used here. ${KEPT}`,
  "token answered nonsense": `This token answers what no token should: it cannot be used here. ${KEPT}`,
  "token balance is nonsense": "This token does not tell what accounts hold: it cannot be used here.",
  "token has no balance": "This token does not tell what accounts hold: it cannot be used here.",
  "token has no code": "No contract is at the token’s address: look it up again.",
  "bounty too large": "The contract holds amounts of up to 2^128: lower the bounty.",
  "bond too large": "The contract holds bonds of up to 2^96: lower the bond.",
  "bonds too large": "Bond times gradients is more than the contract holds: lower one of them.",
  "grace too long": "The time for Capsule to deliver is too long: shorten it.",
  "fee not below bounty": "Capsule's fee has to be less than the bounty.",
  "target not above start": "The target has to be above the starting accuracy.",
};

export function explainTransaction(error: unknown): unknown {
  if (error instanceof Refusal || !(error instanceof BaseError)) return walletFault(error) ?? error;
  if (error.walk((cause) => cause instanceof UserRejectedRequestError)) {
    return new Refusal("You refused in the wallet", "Nothing was sent and nothing was paid. Start it again when you are ready.");
  }
  if (error.walk((cause) => cause instanceof InsufficientFundsError)) {
    return new Refusal("Not enough ETH", "The account cannot pay the amount and the network's fee. Send ETH to it, or lower the bounty.");
  }
  const reverted = error.walk((cause) => cause instanceof ContractFunctionRevertedError);
  if (reverted instanceof ContractFunctionRevertedError) {
    const reason = (reverted.reason ?? "no reason given").replace(/^Sonar: /, "");
    return new Refusal(
      `The contract refuses: ${reason.slice(0, 120)}`,
      REASONS[reason] ?? "Nothing was paid. Change what it names, and try again.",
    );
  }
  if (error.walk((cause) => cause instanceof WaitForTransactionReceiptTimeoutError)) {
    return new StillWaiting();
  }
  return walletFault(error) ?? new Refusal("The transaction could not be made", error.shortMessage.slice(0, 200));
}

/** Why a wallet gave no account. */
export function explainConnection(error: unknown): unknown {
  if (codeOf(error) === REFUSED) {
    return new Refusal("The wallet refused", "It was asked for your account and said no. Connect again, and accept there.");
  }
  return walletFault(error) ?? error;
}

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown } | null)?.code;
}

function walletFault(error: unknown): Refusal | undefined {
  const code = codeOf(error);
  if (code === REFUSED)
    return new Refusal("You refused in the wallet", "Nothing was sent and nothing was paid. Start it again when you are ready.");
  if (code === -32002) return new Refusal("The wallet is asking already", "Open it and answer what it asks.");
  if (code === 4900 || code === 4901)
    return new Refusal("The wallet has no connection", "See that it reaches the network, then try again.");
  return undefined;
}
