/** The mine's wallet: one account's key, from a Web3 Secret Storage file of version 3. */
import {
  createCipheriv,
  createDecipheriv,
  pbkdf2Sync,
  randomBytes,
  randomUUID,
  scryptSync,
  timingSafeEqual,
} from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { type LocalAccount, privateKeyToAccount } from "viem/accounts";
import { getAddress, isAddress, keccak256, toHex } from "viem/utils";
import { KeystoreError, systemTextOf, WrongPassphrase } from "./errors.ts";
import { writePrivate } from "./files.ts";
import { isObject, repr } from "./text.ts";

const SCRYPT_N = { standard: 2 ** 17, light: 2 ** 12 };
const MAX_SCRYPT_MEMORY = 512 * 2 ** 20;
const MAX_KEYSTORE_BYTES = 64 << 10;

export type Cost = keyof typeof SCRYPT_N;

/** Make a new key and write its keystore. */
export function createWallet(path: string, passphrase: string, cost: Cost): LocalAccount {
  const key = randomBytes(32);
  const account = privateKeyToAccount(toHex(key));
  writePrivate(path, JSON.stringify(seal(key, account.address, passphrase, SCRYPT_N[cost])));
  return account;
}

/** Open a keystore. */
export function openWallet(path: string, passphrase: string): LocalAccount {
  return privateKeyToAccount(toHex(unseal(readKeystore(path), passphrase, path)));
}

/** Return the address that a keystore says it holds, without opening it. */
export function keystoreAddress(path: string): string {
  const address = `0x${String(readKeystore(path).address ?? "").replace(/^0x/, "")}`;
  if (!isAddress(address, { strict: false })) {
    throw new KeystoreError(`${path} names no address: open it with its passphrase`);
  }
  return getAddress(address);
}

function readKeystore(path: string): Record<string, unknown> {
  let data: Buffer;
  let mode: number;
  try {
    mode = statSync(path).mode;
    data = readFileSync(path);
  } catch (error) {
    throw new KeystoreError(
      `no keystore can be read at ${path} (${systemTextOf(error)}): ` +
        "give the right file, or make one with `openmined wallet create`",
    );
  }
  if (mode & 0o077) {
    const shown = (mode & 0o7777).toString(8).padStart(4, "0");
    throw new KeystoreError(`${path} is open to other users (mode ${shown}): run \`chmod 600\` on it`);
  }
  try {
    const document: unknown = JSON.parse(data.toString("utf8"));
    if (data.length <= MAX_KEYSTORE_BYTES && isObject(document)) return document;
  } catch {
    // Told below: whatever it is, it is no keystore.
  }
  throw new KeystoreError(`${path} is no keystore: a JSON object of at most 64 KiB is expected`);
}

function seal(key: Buffer, address: string, passphrase: string, n: number): object {
  const salt = randomBytes(32);
  const iv = randomBytes(16);
  const derived = scryptSync(passphrase, salt, 32, { N: n, r: 8, p: 1, maxmem: MAX_SCRYPT_MEMORY });
  const cipher = createCipheriv("aes-128-ctr", derived.subarray(0, 16), iv);
  const ciphertext = Buffer.concat([cipher.update(key), cipher.final()]);
  return {
    address: address.slice(2).toLowerCase(),
    crypto: {
      cipher: "aes-128-ctr",
      cipherparams: { iv: iv.toString("hex") },
      ciphertext: ciphertext.toString("hex"),
      kdf: "scrypt",
      kdfparams: { dklen: 32, n, p: 1, r: 8, salt: salt.toString("hex") },
      mac: mac(derived, ciphertext).toString("hex"),
    },
    id: randomUUID(),
    version: 3,
  };
}

function unseal(document: Record<string, unknown>, passphrase: string, path: string): Buffer {
  const crypto = document.crypto ?? document.Crypto;
  if (!isObject(crypto)) throw damaged(path);
  if (document.version !== 3 || crypto.cipher !== "aes-128-ctr") {
    throw new KeystoreError(`${path} is no keystore of version 3 with aes-128-ctr`);
  }
  const parameters = crypto.kdfparams;
  const cipher = crypto.cipherparams;
  if (!isObject(parameters) || !isObject(cipher)) throw damaged(path);
  const derived = derive(String(crypto.kdf), parameters, passphrase, path);
  const ciphertext = hex(crypto.ciphertext, path);
  const wanted = hex(crypto.mac, path);
  const found = mac(derived, ciphertext);
  if (wanted.length !== found.length || !timingSafeEqual(found, wanted)) {
    throw new WrongPassphrase("the passphrase does not open the mine's wallet: type it again");
  }
  const iv = hex(cipher.iv, path);
  if (iv.length !== 16 || ciphertext.length !== 32) throw damaged(path);
  const decipher = createDecipheriv("aes-128-ctr", derived.subarray(0, 16), iv);
  return Buffer.concat([decipher.update(ciphertext), decipher.final()]);
}

function derive(kdf: string, parameters: Record<string, unknown>, passphrase: string, path: string): Buffer {
  const salt = hex(parameters.salt, path);
  if (parameters.dklen !== 32) {
    throw new KeystoreError(`${path} asks for a derived key of another length than 32 bytes`);
  }
  if (kdf === "scrypt") {
    const [n, r, p] = ["n", "r", "p"].map((name) => Number(parameters[name])) as [number, number, number];
    // A hostile file must not take all memory or time: 128 N r bytes, p times.
    if (!(n > 1 && r > 0 && p > 0 && p <= 16 && 128 * n * r <= MAX_SCRYPT_MEMORY)) {
      throw new KeystoreError(`${path} asks for scrypt with n=${n}, r=${r}, p=${p}: too much`);
    }
    return scryptSync(passphrase, salt, 32, { N: n, r, p, maxmem: 2 * MAX_SCRYPT_MEMORY });
  }
  if (kdf === "pbkdf2" && parameters.prf === "hmac-sha256") {
    const rounds = Number(parameters.c);
    if (!(rounds > 0 && rounds <= 10_000_000)) {
      throw new KeystoreError(`${path} asks for ${rounds} rounds of PBKDF2: too many`);
    }
    return pbkdf2Sync(passphrase, salt, rounds, 32, "sha256");
  }
  throw new KeystoreError(`${path} uses the key derivation ${repr(kdf)}; scrypt and pbkdf2 are known`);
}

function mac(derived: Buffer, ciphertext: Buffer): Buffer {
  return Buffer.from(keccak256(Buffer.concat([derived.subarray(16, 32), ciphertext]), "bytes"));
}

function hex(value: unknown, path: string): Buffer {
  if (typeof value !== "string" || !/^([0-9a-fA-F]{2})*$/.test(value)) throw damaged(path);
  return Buffer.from(value, "hex");
}

function damaged(path: string): KeystoreError {
  return new KeystoreError(`${path} is a damaged keystore`);
}
