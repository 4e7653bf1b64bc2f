// Repeats Syft's random weights and feature maps from their description alone, and checks them
// against the vectors of this folder to 1e-12. Prints `checked NAME` for each that agrees.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";

const here = new URL(".", import.meta.url);
const read = (name) => JSON.parse(readFileSync(new URL(name, here), "utf8"));
const range = (count) => Array.from({ length: count }, (_, index) => index);
const sum = (values) => values.reduce((total, value) => total + value, 0);
const dot = (a, b) => sum(a.map((value, index) => value * b[index]));
const relu = (value) => Math.max(0, value);

// ---------------------------------------------------------------- random weights

function words(seed, label, count) {
  const message = Buffer.concat([
    Buffer.from("openmined/random@1\0"),
    Buffer.from(`${label}\0`),
    Buffer.from(seed, "hex"),
  ]);
  const bytes = createHash("shake256", { outputLength: 8 * count }).update(message).digest();
  return range(count).map((index) => bytes.readBigUInt64LE(8 * index));
}

const uniform = (seed, label, count) =>
  words(seed, label, count).map((word) => (Number(word >> 11n) + 0.5) * 2 ** -53);

const below = (seed, label, count, limit) =>
  uniform(seed, label, count).map((value) => Math.floor(value * limit));

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

/** Matrices are filled row by row. */
function gaussianRows(seed, label, rows, columns) {
  const values = gaussian(seed, label, rows * columns);
  return range(rows).map((row) => values.slice(row * columns, (row + 1) * columns));
}

// ---------------------------------------------------------------- maps of numbers: step -> row -> row

function columns({ centre = [], scale = [] }) {
  return (row) => row.map((value, index) => (value - (centre[index] ?? 0)) / (scale[index] ?? 1));
}

/** sqrt(2/m) cos(x Omega + b), Omega ~ N(0, 2 gamma). */
function randomFourier({ features, gamma, seed }, inputs) {
  const omega = gaussianRows(seed, "random-fourier/omega", features, inputs);
  const phase = uniform(seed, "random-fourier/phase", features);
  return (row) =>
    omega.map((weights, unit) => {
      const angle = Math.sqrt(2 * gamma) * dot(row, weights) + 2 * Math.PI * phase[unit];
      return Math.sqrt(2 / features) * Math.cos(angle);
    });
}

/** sqrt(2/m) max(0, x Omega + b), Omega ~ N(0, 1/d), b ~ N(0, 1/16). */
function randomRelu(step, inputs) {
  const { features, seed, patch } = step;
  const omega =
    patch === undefined
      ? gaussianRows(seed, "random-relu/omega", features, inputs).map((weights) =>
          weights.map((value) => value / Math.sqrt(inputs)),
        )
      : patchUnits(step);
  const shift = gaussian(seed, "random-relu/shift", features).map((value) => value / 4);
  return (row) =>
    omega.map((weights, unit) => Math.sqrt(2 / features) * relu(dot(row, weights) + shift[unit]));
}

/** Each unit sees patch x patch pixels, the corner drawn uniformly, weights ~ N(0, 1/patch^2). */
function patchUnits({ features, seed, patch, height, width }) {
  const local = gaussianRows(seed, "random-relu/omega", features, patch * patch);
  const top = below(seed, "random-relu/top", features, height - patch + 1);
  const left = below(seed, "random-relu/left", features, width - patch + 1);
  return local.map((weights, unit) => {
    const image = new Array(height * width).fill(0);
    weights.forEach((value, index) => {
      const y = top[unit] + Math.floor(index / patch);
      image[y * width + left[unit] + (index % patch)] = value / patch;
    });
    return image;
  });
}

/** sqrt(2/m) mean of max(0, patch Omega) over the cells of a grid, Omega ~ N(0, 1/patch^2). */
function imagePatches({ height, width, patch, stride, filters, pool, seed }, inputs) {
  const channels = inputs / (height * width);
  const omega = gaussianRows(seed, "image-patches/filters", filters, patch * patch);
  const tops = cells(Math.floor((height - patch) / stride) + 1, pool);
  const lefts = cells(Math.floor((width - patch) / stride) + 1, pool);
  const norm = Math.sqrt(2 / (filters * pool ** 2 * channels));
  const response = (row, y, x, channel, weights) =>
    relu(
      sum(
        weights.map((value, index) => {
          const pixel = (y * stride + Math.floor(index / patch)) * width + x * stride + (index % patch);
          return (value / patch) * row[pixel * channels + channel];
        }),
      ),
    );
  return (row) =>
    tops.flatMap((ys) =>
      lefts.flatMap((xs) =>
        range(channels).flatMap((channel) =>
          omega.map((weights) => {
            const all = ys.flatMap((y) => xs.map((x) => response(row, y, x, channel, weights)));
            return (norm * sum(all)) / all.length;
          }),
        ),
      ),
    );
}

/** Cut 0 .. length - 1 into cells; cell c begins at floor(c length / count). */
function cells(length, count) {
  const edge = (cell) => Math.floor((cell * length) / count);
  return range(count).map((cell) => range(length).slice(edge(cell), edge(cell + 1)));
}

// ---------------------------------------------------------------- hashed text

/** MurmurHash3 for 32 bits (x86) of bytes, seed 0, signed; Austin Appleby, public domain. */
function murmur3(bytes) {
  const turn = (value, bits) => (value << bits) | (value >>> (32 - bits));
  const mix = (word) => Math.imul(turn(Math.imul(word, 0xcc9e2d51), 15), 0x1b873593);
  const whole = bytes.length & ~3;
  let hash = 0;
  for (let index = 0; index < whole; index += 4) {
    hash = (Math.imul(turn(hash ^ mix(bytes.readInt32LE(index)), 13), 5) + 0xe6546b64) | 0;
  }
  let tail = 0;
  for (let index = bytes.length - 1; index >= whole; index -= 1) tail = (tail << 8) | bytes[index];
  hash ^= mix(tail) ^ bytes.length;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

// What Python's \s is; JavaScript's has other members.
const SPACE = "[\\t-\\r\\x1c-\\x20\\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]";
const SPACES = new RegExp(`${SPACE}+`, "u");
const LONG_SPACES = new RegExp(`${SPACE}{2,}`, "gu");

/** All runs of `least` to `most` neighbours, joined. */
function runs(parts, least, most, joint) {
  return range(most - least + 1).flatMap((more) =>
    range(Math.max(0, parts.length - least - more + 1)).map((start) =>
      parts.slice(start, start + least + more).join(joint),
    ),
  );
}

const ANALYZERS = {
  // Words have two letters, digits or underscores at least.
  word: (text, least, most) => runs(text.match(/[\p{L}\p{N}_]{2,}/gu) ?? [], least, most, " "),
  // Characters are code points.
  char: (text, least, most) => runs([...text.replace(LONG_SPACES, " ")], least, most, ""),
  // Within words and the spaces around them; a word with no room for n characters counts whole, once.
  char_wb: (text, least, most) =>
    text.split(SPACES).filter(Boolean).flatMap((word) => {
      const padded = [" ", ...word, " "];
      const whole = most >= padded.length ? [padded.join("")] : [];
      return [...runs(padded, least, Math.min(most, padded.length - 1), ""), ...whole];
    }),
};

/** scikit-learn's HashingVectorizer: the hash says column and sign, and rows have length 1. */
function hashedText({ features, analyzer, ngram_min, ngram_max }) {
  return (text) => {
    const row = new Array(features).fill(0);
    for (const gram of ANALYZERS[analyzer](text.toLowerCase(), ngram_min, ngram_max)) {
      const hash = murmur3(Buffer.from(gram));
      row[Math.abs(hash) % features] += hash < 0 ? -1 : 1;
    }
    const length = Math.hypot(...row);
    return length === 0 ? row : row.map((value) => value / length);
  };
}

// ---------------------------------------------------------------- the vectors

const SOURCES = { columns, "hashed-text": hashedText };
const TRANSFORMS = {
  "random-fourier": randomFourier,
  "random-relu": randomRelu,
  "image-patches": imagePatches,
};
const RADIUS = {
  columns: (outputs) => 2 * Math.sqrt(outputs),
  "hashed-text": () => 1,
  "random-fourier": () => Math.SQRT2,
  "random-relu": () => 2,
  "image-patches": () => 2,
};

/** Rows longer than the map's radius are shortened to it, and a 1 comes last. */
function finish(kind, row) {
  const [length, radius] = [Math.hypot(...row), RADIUS[kind](row.length)];
  return [...(length > radius ? row.map((value) => (value * radius) / length) : row), 1];
}

function mapRows({ step, texts }, x) {
  const source = SOURCES[step.kind];
  if (source !== undefined) return (texts ?? x).map(source(step));
  return x.map(TRANSFORMS[step.kind](step, x[0].length));
}

const near = (found, wanted) =>
  found.length === wanted.length &&
  found.every((value, index) => Math.abs(value - wanted[index]) <= 1e-12);

function differences({ seed, label, ...vector }) {
  const count = vector.below_10.length;
  return [
    words(seed, label, vector.words.length).join() === vector.words.join() ? "" : "words",
    near(uniform(seed, label, vector.uniform.length), vector.uniform) ? "" : "uniform",
    near(gaussian(seed, label, vector.gaussian.length), vector.gaussian) ? "" : "gaussian",
    near(below(seed, label, count, 10), vector.below_10) ? "" : "below 10",
  ].filter(Boolean);
}

function report(name, wrong) {
  if (wrong.length === 0) console.log(`checked ${name}`);
  else console.error(`${name} differs: ${wrong.join(", ")}`);
  if (wrong.length > 0) process.exitCode = 1;
}

for (const vector of read("expansion.json")) report(vector.label, differences(vector));

const { x, maps } = read("maps.json");
for (const map of maps) {
  const found = mapRows(map, x).map((row) => finish(map.step.kind, row));
  const rows = range(Math.max(found.length, map.rows.length));
  report(map.name, rows.filter((row) => !near(found[row] ?? [], map.rows[row] ?? [])).map((row) => `row ${row}`));
}
