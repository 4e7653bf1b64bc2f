#!/usr/bin/env node
// Node still calls its SQLite an experiment, on every start; nothing else is silenced.
const { emitWarning } = process;
process.emitWarning = (warning, ...rest) => {
  if (!String(warning).startsWith("SQLite is an experimental feature")) {
    emitWarning.call(process, warning, ...rest);
  }
};
const { main } = await import("../dist/main.js");
await main(process.argv.slice(2));
