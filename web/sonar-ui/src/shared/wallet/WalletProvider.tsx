import { createContext, type ReactNode, useContext, useEffect, useMemo, useState } from "react";
import type { Address, EIP1193Provider } from "viem";
import { useNetwork } from "../api";
import type { Seen, Wallets } from "./wallets";

/** A wallet that announced itself. */
export interface FoundWallet {
  readonly id: string;
  readonly name: string;
  readonly icon: string | undefined;
}

/** The wallet that a person has picked, and its account. */
export interface Wallet {
  readonly name: string;
  readonly account: Address;
  readonly chainId: number;
  readonly provider: EIP1193Provider;
  /** Asks it to change to a network, which is added to it where it is unknown. */
  switchTo(chainId: number): Promise<void>;
}

interface WalletState {
  /** Undefined until they were looked for. */
  readonly wallets: readonly FoundWallet[] | undefined;
  readonly wallet: Wallet | undefined;
  connect(id: string): Promise<void>;
  disconnect(): Promise<void>;
}

const Context = createContext<WalletState | undefined>(undefined);

/** Whose account signs here. Which wallet it was is remembered; the wallet itself remembers the permission. */
export function WalletProvider({ children }: { children: ReactNode }) {
  const network = useNetwork().data;
  const [seen, setSeen] = useState<Seen>();
  const [opening, setOpening] = useState<Promise<Wallets>>();
  useEffect(() => {
    if (!network) return;
    const opening = import("./wallets").then(({ openWallets }) => openWallets(network, setSeen));
    setOpening(opening);
    return () => void opening.then(({ stop }) => stop());
  }, [network]);
  const state = useMemo<WalletState>(
    () => ({
      wallets: seen?.wallets,
      wallet: seen?.wallet,
      connect: async (id) => (await opening)?.connect(id),
      disconnect: async () => (await opening)?.disconnect(),
    }),
    [seen, opening],
  );
  return <Context.Provider value={state}>{children}</Context.Provider>;
}

export function useWallet(): WalletState {
  const state = useContext(Context);
  if (!state) throw new Error("useWallet outside of WalletProvider");
  return state;
}
