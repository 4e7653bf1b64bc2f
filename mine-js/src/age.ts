/**
 * The mine's identity at rest: age, under the passphrase (https://c2sp.org/age, scrypt recipient).
 *
 * The library does header and payload; scrypt is Node's own, several times faster than in JavaScript.
 */
import { createCipheriv, createDecipheriv, randomBytes, scryptSync } from "node:crypto";
import { Decrypter, Encrypter, generateIdentity, identityToRecipient, Stanza } from "age-encryption";
import { WrongPassphrase } from "./errors.ts";

/** log2 of scrypt's N, age's own default: about a second and 256 MB a guess. */
export const WORK_FACTOR = 18;
/** For devnets whose passphrases protect play money. */
export const LIGHT_WORK_FACTOR = 12;
/** Above this a hostile file would take all memory: 1 GiB. */
const MAX_WORK_FACTOR = 20;
const LABEL = Buffer.from("age-encryption.org/v1/scrypt");
const NONCE = Buffer.alloc(12);

export async function newIdentity(): Promise<{ identity: string; recipient: string }> {
  const identity = await generateIdentity();
  return { identity, recipient: await identityToRecipient(identity) };
}

/** Encrypt a short text under a passphrase, with a stated work factor. */
export async function wrapWithPassphrase(
  data: Uint8Array,
  passphrase: string,
  workFactor = WORK_FACTOR,
): Promise<Uint8Array> {
  const encrypter = new Encrypter();
  encrypter.addRecipient({
    wrapFileKey: (fileKey: Uint8Array) => {
      const salt = randomBytes(16);
      const cipher = createCipheriv("chacha20-poly1305", stretch(passphrase, salt, workFactor), NONCE, {
        authTagLength: 16,
      });
      const body = Buffer.concat([cipher.update(fileKey), cipher.final(), cipher.getAuthTag()]);
      return [new Stanza(["scrypt", base64(salt), String(workFactor)], body)];
    },
  });
  return encrypter.encrypt(data);
}

/** Decrypt what `wrapWithPassphrase`, Mine.py or `age --passphrase` wrote. */
export async function unwrapWithPassphrase(data: Uint8Array, passphrase: string): Promise<Uint8Array> {
  const decrypter = new Decrypter();
  decrypter.addIdentity({ unwrapFileKey: (stanzas: Stanza[]) => unwrapScrypt(stanzas, passphrase) });
  try {
    return await decrypter.decrypt(data);
  } catch {
    throw new WrongPassphrase(
      "the passphrase does not open the mine's identity: type it again, " +
        "or restore identity.age from a backup if the file is damaged",
    );
  }
}

function unwrapScrypt(stanzas: Stanza[], passphrase: string): Uint8Array | null {
  const [stanza] = stanzas;
  if (stanzas.length !== 1 || stanza?.args[0] !== "scrypt" || stanza.body.length !== 32) return null;
  const [, saltText = "", factorText = ""] = stanza.args;
  const factor = Number(factorText);
  if (!/^[1-9]\d?$/.test(factorText) || factor > MAX_WORK_FACTOR) return null;
  const salt = Buffer.from(saltText, "base64");
  const key = stretch(passphrase, salt, factor);
  const decipher = createDecipheriv("chacha20-poly1305", key, NONCE, { authTagLength: 16 });
  decipher.setAuthTag(stanza.body.subarray(16));
  try {
    return Buffer.concat([decipher.update(stanza.body.subarray(0, 16)), decipher.final()]);
  } catch {
    return null;
  }
}

function stretch(passphrase: string, salt: Uint8Array, factor: number): Buffer {
  const N = 2 ** factor;
  const options = { N, r: 8, p: 1, maxmem: N * 1024 + (1 << 22) };
  return scryptSync(passphrase, Buffer.concat([LABEL, salt]), 32, options);
}

function base64(data: Uint8Array): string {
  return Buffer.from(data).toString("base64").replaceAll("=", "");
}
