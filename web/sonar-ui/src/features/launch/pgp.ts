/** OpenPGP in the browser. Loaded only where something is sealed. */

import { Refusal } from "@openmined/shared/ui";
import { createMessage, decrypt, decryptKey, encrypt, generateKey, readKey, readMessage, readPrivateKey } from "openpgp";

const MAX_CERTIFICATE = 64 << 10;

/** Reads a certificate that something can be encrypted to; answers with its fingerprint. */
export async function fingerprintOf(certificate: string): Promise<string> {
  return (await parse(certificate)).getFingerprint();
}

/** Encrypts to a certificate; binary. */
export async function seal(data: Uint8Array, certificate: string): Promise<Uint8Array> {
  const message = await createMessage({ binary: data as Uint8Array<ArrayBuffer> });
  return (await encrypt({ message, encryptionKeys: await parse(certificate), format: "binary" })) as Uint8Array;
}

/** Makes a key pair of version 4 on Curve25519, which GnuPG reads too; the secret part is locked. */
export async function makeKey(passphrase: string): Promise<{ certificate: string; secret: string }> {
  const made = await generateKey({ type: "ecc", curve: "curve25519Legacy", userIDs: [{ name: "OpenMined data scientist" }], passphrase });
  return { certificate: made.publicKey, secret: made.privateKey };
}

/** Opens a message with one's secret key, and demands a signature by `signer`'s. */
export async function openSigned(message: Uint8Array, key: string, passphrase: string, signer: string): Promise<Uint8Array> {
  if (key.length > MAX_CERTIFICATE) throw new Refusal("This is no secret key", "It is larger than 64 KiB: choose the file that you saved.");
  const secret = await readPrivateKey({ armoredKey: key }).catch(() => {
    throw new Refusal(
      "This is no secret key",
      "Choose the file that you saved when the key was made: it begins with BEGIN PGP PRIVATE KEY.",
    );
  });
  const unlocked = await decryptKey({ privateKey: secret, passphrase }).catch(() => {
    throw new Refusal("The passphrase does not open this key", "Type it again, or choose another key.");
  });
  const opened = await decrypt({
    message: await readMessage({ binaryMessage: message }),
    decryptionKeys: unlocked,
    verificationKeys: await readKey({ armoredKey: signer }),
    expectSigned: true,
    format: "binary",
  }).catch(() => {
    throw new Refusal("The model does not open", "It is encrypted to another key than this one, or not signed by this campaign’s Capsule.");
  });
  return opened.data as Uint8Array;
}

async function parse(certificate: string) {
  if (certificate.length > MAX_CERTIFICATE) throw new Refusal("The certificate is too large", "At most 64 KiB are possible.");
  try {
    const key = await readKey({ armoredKey: certificate });
    if (key.isPrivate())
      throw new Refusal("This is a secret key", "Never give it away. Export the public certificate: gpg --armor --export NAME.");
    await key.getEncryptionKey();
    return key;
  } catch (error) {
    if (error instanceof Refusal) throw error;
    throw new Refusal("This is no usable OpenPGP certificate", "None at all, expired, or one that cannot receive messages.");
  }
}
