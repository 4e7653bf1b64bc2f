export { BadCid, cidOf, cidOfDigest, DAG_PB, digestOf, makeCid, parseCid, RAW, type Cid } from "./cid";
export { blockUrl, connectStore, StoreError, type StoreClient, type StoreFault } from "./client";
export { encodeFile, MalformedFile, readFile, type Block } from "./unixfs";
