/** Wallets that announce themselves (EIP-6963). No wallet is asked for anything before a person picks it. */

import type { EIP1193Provider } from "viem";

export interface FoundWallet {
  readonly id: string;
  readonly name: string;
  readonly icon: string | undefined;
  readonly provider: EIP1193Provider;
}

const MOST = 20;

/** Calls back with the list of wallets whenever another one announces itself; answers with a way to stop. */
export function discoverWallets(onChange: (wallets: readonly FoundWallet[]) => void): () => void {
  const found = new Map<string, FoundWallet>();
  const listen = (event: Event) => {
    const wallet = readAnnouncement((event as CustomEvent).detail);
    if (!wallet || found.has(wallet.id) || found.size >= MOST) return;
    found.set(wallet.id, wallet);
    onChange([...found.values()]);
  };
  window.addEventListener("eip6963:announceProvider", listen);
  window.dispatchEvent(new Event("eip6963:requestProvider"));
  return () => window.removeEventListener("eip6963:announceProvider", listen);
}

/** Reads what an extension says of itself; its name and icon are a stranger's. */
function readAnnouncement(detail: unknown): FoundWallet | undefined {
  const { info, provider } = (detail ?? {}) as { info?: Record<string, unknown>; provider?: EIP1193Provider };
  if (typeof info?.rdns !== "string" || typeof info.name !== "string" || typeof provider?.request !== "function") return undefined;
  const icon = typeof info.icon === "string" && /^data:image\/(png|webp|svg\+xml|jpeg);/.test(info.icon) ? info.icon : undefined;
  return { id: info.rdns.slice(0, 100), name: info.name.slice(0, 40), icon, provider };
}
