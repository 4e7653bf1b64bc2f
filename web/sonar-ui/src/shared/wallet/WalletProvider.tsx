import { Refusal } from "@openmined/shared/ui";
import { createContext, type ReactNode, useCallback, useContext, useEffect, useMemo, useState } from "react";
import type { Address, EIP1193Provider } from "viem";
import { discoverWallets, type FoundWallet } from "./discover";
import { askAccount, isRefused, knownAccount, walletChain } from "./request";

export interface Wallet {
  readonly name: string;
  readonly account: Address;
  readonly chainId: number;
  readonly provider: EIP1193Provider;
}

interface WalletState {
  readonly wallets: readonly FoundWallet[];
  readonly wallet: Wallet | undefined;
  connect(found: FoundWallet): Promise<void>;
  disconnect(): void;
}

const REMEMBERED = "openmined.wallet";
const Context = createContext<WalletState | undefined>(undefined);

/** Whose account signs here. Remembers which wallet it was; the wallet itself remembers the permission. */
export function WalletProvider({ children }: { children: ReactNode }) {
  const [wallets, setWallets] = useState<readonly FoundWallet[]>([]);
  const [wallet, setWallet] = useState<Wallet>();
  useEffect(() => discoverWallets(setWallets), []);

  const use = useCallback(async (found: FoundWallet, account: Address | undefined) => {
    if (!account) return setWallet(undefined);
    setWallet({ name: found.name, account, chainId: await walletChain(found.provider), provider: found.provider });
  }, []);

  useEffect(() => {
    const found = wallets.find(({ id }) => id === localStorage.getItem(REMEMBERED));
    if (found)
      void knownAccount(found.provider).then(
        (account) => use(found, account),
        () => undefined,
      );
  }, [wallets, use]);

  const provider = wallet?.provider;
  useEffect(() => {
    if (!provider?.on) return;
    const onAccounts = ([account]: readonly Address[]) => setWallet((old) => (old && account ? { ...old, account } : undefined));
    const onChain = (id: string) => setWallet((old) => old && { ...old, chainId: Number(id) });
    provider.on("accountsChanged", onAccounts as never);
    provider.on("chainChanged", onChain);
    return () => {
      provider.removeListener("accountsChanged", onAccounts as never);
      provider.removeListener("chainChanged", onChain);
    };
  }, [provider]);

  const connect = useCallback(
    async (found: FoundWallet) => {
      try {
        await use(found, await askAccount(found.provider));
        localStorage.setItem(REMEMBERED, found.id);
      } catch (error) {
        if (isRefused(error))
          throw new Refusal("The wallet refused", "It was asked for your account and said no. Connect again, and accept there.");
        throw error;
      }
    },
    [use],
  );
  const disconnect = useCallback(() => {
    localStorage.removeItem(REMEMBERED);
    setWallet(undefined);
  }, []);
  const state = useMemo(() => ({ wallets, wallet, connect, disconnect }), [wallets, wallet, connect, disconnect]);
  return <Context.Provider value={state}>{children}</Context.Provider>;
}

export function useWallet(): WalletState {
  const state = useContext(Context);
  if (!state) throw new Error("useWallet outside of WalletProvider");
  return state;
}
