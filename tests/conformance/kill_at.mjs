// Run a Mine.js that is killed at a named moment: arguments FOLDER MOMENT.
// A moment is a step, or an effect whose record is still missing: `stored`, `sent`, `broadcast`.
const built = (name) => import(new URL(`../../mine-js/dist/${name}.js`, import.meta.url));
const [{ MineFolder }, { runMine }, { SonarContract }, { Store }, { Rpc }] = await Promise.all(
  ["folder", "run", "chain/contract", "store/store", "chain/rpc"].map(built),
);

const [folder, moment] = process.argv.slice(2);
const die = () => process.kill(process.pid, "SIGKILL");

function dieAfter(owner, name, first) {
  const real = owner.prototype[name];
  owner.prototype[name] = async function killed(...given) {
    const answer = await real.apply(this, given);
    if (first !== undefined && given[0] !== first) return answer;
    die();
    await new Promise(() => undefined);
  };
}

if (moment === "stored") dieAfter(Store, "putManifest");
if (moment === "sent") dieAfter(SonarContract, "submitGradient");
if (moment === "broadcast") dieAfter(Rpc, "call", "eth_sendRawTransaction");
const mine = new MineFolder(folder);
const secrets = await mine.unlock("correct horse battery staple");
await runMine(mine, secrets, { atStep: (step) => step === moment && die() });
