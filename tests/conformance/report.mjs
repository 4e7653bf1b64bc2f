// Print the usage report that Mine.js sends of a folder's datasets: argument FOLDER (of datasets).
const built = (name) => import(new URL(`../../mine-js/dist/${name}.js`, import.meta.url));
const { Reporter } = await built("report");
const { createWallet } = await built("wallet");

const [datasets, keystore] = process.argv.slice(2);
globalThis.fetch = async (url, { body }) => {
  console.log(JSON.stringify({ url, ...JSON.parse(body) }));
  return { status: 200 };
};
const facts = new Map();
const world = {
  settings: {
    reporting: { enabled: true, url: "http://stats.example/", interval_s: 60 },
    permissions: { offered: { mode: "ask" } },
  },
  folder: { datasets },
  ledger: {
    meta: (key) => facts.get(key) ?? null,
    setMeta: (key, value) => facts.set(key, value),
    submissions: () => [{ step: "submitted" }],
  },
  log: { say: () => undefined },
  contract: { chainId: 31337, address: `0x${"5".repeat(40)}` },
  secrets: { wallet: createWallet(keystore, "correct horse battery staple", "light") },
};
await new Reporter(world).report();
await new Reporter(world).report(); // nothing new: nothing is sent
