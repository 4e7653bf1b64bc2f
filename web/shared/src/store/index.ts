export { BadCid, type Cid, cidOf, cidOfDigest, DAG_PB, digestOf, makeCid, parseCid, RAW } from "./cid";
export { blockUrl, connectStore, type StoreClient, StoreError, type StoreFault } from "./client";
export { type Block, encodeFile, MalformedFile, readFile } from "./unixfs";
