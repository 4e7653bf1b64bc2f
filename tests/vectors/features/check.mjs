// Repeats Syft's construction of random weights and checks it against the vectors of this folder.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, here), "utf8"));

function words(seed, label, count) {
  const message = Buffer.concat([
    Buffer.from("openmined/random@1\0"),
    Buffer.from(`${label}\0`),
    Buffer.from(seed, "hex"),
  ]);
  const bytes = createHash("shake256", { outputLength: 8 * count }).update(message).digest();
  return Array.from({ length: count }, (_, index) => bytes.readBigUInt64LE(8 * index));
}

const uniform = (seed, label, count) =>
  words(seed, label, count).map((word) => (Number(word >> 11n) + 0.5) * 2 ** -53);

function gaussian(seed, label, count) {
  const draws = uniform(seed, label, count + (count % 2));
  const found = [];
  for (let index = 0; index < draws.length; index += 2) {
    const radius = Math.sqrt(-2 * Math.log(draws[index]));
    const angle = 2 * Math.PI * draws[index + 1];
    found.push(radius * Math.cos(angle), radius * Math.sin(angle));
  }
  return found.slice(0, count);
}

let failures = 0;
function check(what, found, wanted) {
  const near = found.length === wanted.length
    && found.every((value, index) => Math.abs(value - wanted[index]) <= 1e-12);
  if (!near) {
    failures += 1;
    console.error(`${what}: found ${found}, wanted ${wanted}`);
  }
}

for (const vector of read("expansion.json")) {
  const { seed, label } = vector;
  const found = words(seed, label, vector.words.length).map(String);
  if (found.join() !== vector.words.join()) {
    failures += 1;
    console.error(`${label}: words ${found}, wanted ${vector.words}`);
  }
  check(`${label} uniform`, uniform(seed, label, vector.uniform.length), vector.uniform);
  check(`${label} gaussian`, gaussian(seed, label, vector.gaussian.length), vector.gaussian);
  const below = uniform(seed, label, vector.below_10.length).map((u) => Math.floor(10 * u));
  check(`${label} below 10`, below, vector.below_10);
}

const { x, maps } = read("maps.json");
for (const { step, rows } of maps.filter(({ step: { kind } }) => kind === "random-fourier")) {
  const inputs = x[0].length;
  const omega = gaussian(step.seed, "random-fourier/omega", step.features * inputs);
  const phase = uniform(step.seed, "random-fourier/phase", step.features);
  const found = x.map((row) => [
    ...phase.map((shift, unit) => {
      const inner = row.reduce((sum, value, column) => sum + value * omega[unit * inputs + column], 0);
      const angle = Math.sqrt(2 * step.gamma) * inner + 2 * Math.PI * shift;
      return Math.sqrt(2 / step.features) * Math.cos(angle);
    }),
    1,
  ]);
  found.forEach((row, index) => check("random-fourier row", row, rows[index]));
}

console.log(failures === 0 ? "all vectors agree" : `${failures} vectors differ`);
process.exitCode = failures === 0 ? 0 : 1;
