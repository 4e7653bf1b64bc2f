/** The browser's wallets, through wagmi. Loaded after the first picture, for it brings viem along.
 *
 * Wallets announce themselves (EIP-6963); none is asked for anything before a person has picked it.
 */

import {
  type Config,
  type Connector,
  connect,
  createConfig,
  createStorage,
  disconnect,
  getConnection,
  getConnectors,
  http,
  reconnect,
  switchChain,
  watchConnection,
  watchConnectors,
} from "@wagmi/core";
import type { EIP1193Provider } from "viem";
import type { NetworkInfo } from "../api";
import { chainOf } from "../chain";
import { explainConnection } from "./explain";
import type { FoundWallet, Wallet } from "./WalletProvider";

export interface Seen {
  readonly wallets: readonly FoundWallet[];
  readonly wallet: Wallet | undefined;
}

export interface Wallets {
  connect(id: string): Promise<void>;
  disconnect(): Promise<void>;
  stop(): void;
}

const MOST = 20;
const ICON = /^data:image\/(png|webp|svg\+xml|jpeg);/;

/** Watches the wallets of this browser for a network; the one used last is taken up again. */
export function openWallets(network: NetworkInfo, onChange: (seen: Seen) => void): Wallets {
  const chain = chainOf(network);
  const config = createConfig({
    chains: [chain],
    transports: { [chain.id]: http(network.rpc_url ?? undefined) },
    storage: createStorage({ key: "openmined", storage: localStorage }),
  });
  let looks = 0;
  const look = () => {
    looks += 1;
    const turn = looks;
    // What an earlier look finds later is no longer so.
    void see(config).then((seen) => turn === looks && onChange(seen));
  };
  const stops = [
    watchConnection(config, { onChange: look }),
    watchConnectors(config, {
      onChange: () => {
        look();
        void resume(config);
      },
    }),
  ];
  look();
  void resume(config);
  return {
    connect: async (id) => {
      const connector = getConnectors(config).find((known) => known.id === id);
      if (!connector) throw new Error("the wallet is gone: load the page again");
      try {
        await connect(config, { connector });
      } catch (error) {
        throw explainConnection(error);
      }
    },
    disconnect: () => disconnect(config),
    stop: () => {
      looks = 0;
      for (const stop of stops) stop();
    },
  };
}

async function see(config: Config): Promise<Seen> {
  const wallets = getConnectors(config).slice(0, MOST).map(foundOf);
  const connection = getConnection(config);
  if (connection.status !== "connected") return { wallets, wallet: undefined };
  const { address, chainId, connector } = connection;
  const wallet: Wallet = {
    name: nameOf(connector),
    account: address,
    chainId,
    provider: (await connector.getProvider()) as EIP1193Provider,
    switchTo: async (wanted) => void (await switchChain(config, { chainId: wanted })),
  };
  return { wallets, wallet };
}

/** Asks the wallet of the last visit, and no other, whether it still allows this page. */
async function resume(config: Config): Promise<void> {
  const last = await config.storage?.getItem("recentConnectorId");
  if (getConnection(config).status !== "disconnected") return;
  const connectors = getConnectors(config).filter(({ id }) => id === last);
  if (connectors.length > 0) await reconnect(config, { connectors });
}

/** What an extension says of itself; its name and icon are a stranger's. */
function foundOf(connector: Connector): FoundWallet {
  const icon = connector.icon?.trim();
  return { id: connector.id, name: nameOf(connector), icon: icon && ICON.test(icon) ? icon : undefined };
}

function nameOf({ name }: Connector): string {
  return String(name).slice(0, 40) || "A wallet without a name";
}
