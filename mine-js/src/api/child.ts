/** What runs in the API's process. It begins with one message of the mine, and ends with the mine. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Door } from "../door.ts";
import { MineFolder } from "../folder.ts";
import { ProgressLog } from "../progress.ts";
import { Imports } from "./imports.ts";
import { listener } from "./server.ts";
import { Sessions } from "./sessions.ts";
import { Uploads } from "./uploads.ts";

interface Begin {
  folder: string;
  identity: string;
  address: string;
}

function serve({ folder: path, identity, address }: Begin): void {
  process.umask(0o077);
  const folder = new MineFolder(path);
  const settings = folder.settings();
  const { host, port, allowed_hosts: names, session_s } = settings.api;
  const log = new ProgressLog(folder.logPath, settings.name);
  const door = new Door();
  const uploads = new Uploads();
  const sessions = new Sessions((passphrase) => folder.openIdentity(passphrase), session_s);
  const imports = new Imports(folder, identity, uploads, log, door);
  const server = createServer(
    { requestTimeout: 0, headersTimeout: 20_000, maxHeaderSize: 32 << 10 },
    listener({ folder, address, sessions, uploads, imports, door, names }),
  );
  server.maxConnections = 256;
  const end = () => {
    uploads.close();
    door.close();
    process.exit(0);
  };
  process.on("disconnect", end);
  process.on("SIGTERM", end);
  process.on("SIGINT", () => undefined);
  server.on("error", (error: NodeJS.ErrnoException) => {
    const text =
      `the local API cannot listen on ${host} port ${port}: ${error.message}; ` +
      "choose another port in mine.toml ([api])";
    process.send?.({ error: text }, () => process.exit(1));
  });
  server.listen({ host, port, backlog: 128 }, () => {
    const bound = server.address() as AddressInfo;
    const name = bound.family === "IPv6" ? `[${bound.address}]` : bound.address;
    process.send?.({ url: `http://${name}:${bound.port}` });
  });
}

process.once("message", (message) => serve(message as Begin));
