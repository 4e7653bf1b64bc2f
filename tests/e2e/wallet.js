// A test wallet: announces itself by EIP-6963, answers as EIP-1193 asks, lets anvil sign.
// `window.testWallet` says how it behaves; the page under test never looks at it.
((settings) => {
  const listeners = new Map();
  const state = {
    refuse: JSON.parse(sessionStorage.getItem("wallet.refuse") ?? "false"),
    chain: settings.chain,
    connected: sessionStorage.getItem("wallet.connected") === "yes",
    asked: [],
  };
  window.testWallet = state;
  const refusal = () => Object.assign(new Error("User rejected the request."), { code: 4001 });
  const ask = async (method, params) => {
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: params ?? [] });
    const answer = await (await fetch(settings.rpc, { method: "POST", headers: { "content-type": "application/json" }, body })).json();
    if (answer.error) throw Object.assign(new Error(answer.error.message), { code: answer.error.code, data: answer.error.data });
    return answer.result;
  };
  const provider = {
    async request({ method, params }) {
      state.asked.push(method);
      switch (method) {
        case "eth_requestAccounts":
          if (state.refuse) throw refusal();
          state.connected = true;
          sessionStorage.setItem("wallet.connected", "yes");
          return [settings.account];
        case "eth_accounts":
          return state.connected ? [settings.account] : [];
        case "eth_chainId":
          return `0x${state.chain.toString(16)}`;
        case "wallet_switchEthereumChain":
          if (state.refuse) throw refusal();
          state.chain = Number(params[0].chainId);
          for (const listen of listeners.get("chainChanged") ?? []) listen(params[0].chainId);
          return null;
        case "eth_sendTransaction":
          if (state.refuse) throw refusal();
          return ask(method, params);
        default:
          return ask(method, params);
      }
    },
    on(event, listen) {
      listeners.set(event, [...(listeners.get(event) ?? []), listen]);
    },
    removeListener(event, listen) {
      listeners.set(event, (listeners.get(event) ?? []).filter((known) => known !== listen));
    },
  };
  const info = { uuid: "5f1d3bd2-6f0c-4f7e-9d0a-0d5c6d0f3b11", name: "Test wallet", icon: "data:image/png;base64,", rdns: "org.openmined.test" };
  const announce = () => window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: Object.freeze({ info, provider }) }));
  window.addEventListener("eip6963:requestProvider", announce);
  announce();
})(SETTINGS);
