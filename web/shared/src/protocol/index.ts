export { publishedSchemas } from "../generated/schemas";
export { decodeCanonical, encodeCanonical, MAX_MANIFEST_BYTES, NotCanonical, type Json } from "./canonical";
export * from "./manifests";
export { losesBond, PHASES, REASONS, type Phase } from "./names";
export { batchPayout, counts, PPM, sharePayout, type BatchTerms } from "./units";
