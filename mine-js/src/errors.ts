/**
 * Everything that goes wrong on purpose, by the names that Mine.py and the API use.
 *
 *     OpenMinedError
 *     ├── MineError       folder, settings, datasets, campaigns that cannot be used, training
 *     ├── SonarError      the chain, a transaction, a keystore
 *     ├── StorageError    the content-addressed store
 *     └── ManifestError   a document that is not what its format says
 *
 * Each message says what failed, with which value, and what to do.
 */
export class OpenMinedError extends Error {
  override get name(): string {
    return this.constructor.name;
  }
}

export class MineError extends OpenMinedError {}
/** The mine's folder cannot be used. */
export class FolderError extends MineError {}
export class NotAMine extends FolderError {}
export class MineExists extends FolderError {}
export class MineLocked extends FolderError {}
export class WrongPassphrase extends FolderError {}
export class LedgerDamaged extends FolderError {}
export class DiskFull extends FolderError {}
/** mine.toml, a permission or an option is not valid. */
export class SettingsError extends MineError {}
export class DatasetError extends MineError {}
export class UnknownDataset extends DatasetError {}
export class DatasetDamaged extends DatasetError {}
export class ImportRefused extends DatasetError {}
/** What a campaign or its Capsule published cannot be used. */
export class CampaignUnusable extends MineError {}
export class TermsRefused extends CampaignUnusable {}
export class Misbound extends CampaignUnusable {}
export class WeakParameters extends CampaignUnusable {}
export class BadDownload extends CampaignUnusable {}
/** The training process died, ran out of its limits, or could not use the rows. */
export class TrainingFailed extends MineError {}
/** The cluster that is to sum the rows is not there, or its extra is not installed. */
export class ClusterAway extends MineError {}
export class ApiError extends MineError {}

export class ManifestError extends OpenMinedError {}
export class UnknownFormat extends ManifestError {}

export class SonarError extends OpenMinedError {}
export class KeystoreError extends SonarError {}
/** The chain cannot be reached, or is not the one that was meant. */
export class ChainError extends SonarError {}
export class RpcUnreachable extends ChainError {}
/** The node's answer is not what the protocol or the contract's ABI says it must be. */
export class UndecodableAnswer extends ChainError {}
export class WrongChain extends ChainError {}
export class NoContract extends ChainError {}
export class WrongContract extends ChainError {}
export class ChainRestarted extends ChainError {}
/** A transaction cannot be sent, or did not succeed. */
export class TransactionError extends SonarError {}
export class FeeAboveCap extends TransactionError {}
export class TransactionLost extends TransactionError {}
export class TransactionPending extends TransactionError {}
export class UnknownNetwork extends SonarError {}
export class NetworksFileError extends SonarError {}

export class StorageError extends OpenMinedError {}
export class BadCID extends StorageError {}
export class BlockNotFound extends StorageError {}
export class BlockMismatch extends StorageError {}
export class MalformedBlock extends StorageError {}
export class BlobTooLarge extends StorageError {}
export class SizeMismatch extends StorageError {}
export class QuotaExceeded extends StorageError {}
export class StoreUnreachable extends StorageError {}
export class StoreRefused extends StorageError {}

/** Return an error's own text, whatever was thrown. */
export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const SYSTEM: Record<string, string> = {
  EACCES: "Permission denied",
  ECONNREFUSED: "Connection refused",
  EHOSTUNREACH: "No route to host",
  EIO: "Input/output error",
  EISDIR: "Is a directory",
  ELOOP: "Too many levels of symbolic links",
  EMFILE: "Too many open files",
  ENETUNREACH: "Network is unreachable",
  ENOENT: "No such file or directory",
  ENOSPC: "No space left on device",
  ENOTDIR: "Not a directory",
  EPERM: "Operation not permitted",
  EROFS: "Read-only file system",
};

/** Return what the operating system says of a failure, in the words of its C library. */
export function systemTextOf(error: unknown): string {
  const { code = "" } = error as NodeJS.ErrnoException;
  return SYSTEM[code] ?? (code || textOf(error));
}
