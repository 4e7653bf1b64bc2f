export { publishedSchemas } from "../generated/schemas";
export { decodeCanonical, encodeCanonical, type Json, MAX_MANIFEST_BYTES, NotCanonical } from "./canonical";
export * from "./manifests";
export { losesBond, PHASES, type Phase, REASONS } from "./names";
export { type BatchTerms, batchPayout, counts, PPM, sharePayout } from "./units";
