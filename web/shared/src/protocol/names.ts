export const PHASES = ["none", "launched", "open", "delivered", "rejected", "cancelled", "expired"] as const;
export type Phase = (typeof PHASES)[number];

/** Why Capsule rejected a gradient; below 128 the bond is lost. */
export const REASONS: Readonly<Record<number, string>> = {
  0: "accepted",
  1: "malformed",
  2: "bound to another campaign or account",
  3: "a duplicate",
  4: "over the quota",
  5: "harmful",
  6: "absurd values",
  128: "stale",
  129: "not found in the store",
  130: "came after the end",
};

export function losesBond(reason: number): boolean {
  return reason > 0 && reason < 128;
}
