// Says what CID ipfs-car's UnixFS library gives a file, by chunk size and width of the tree.
// Reads one JSON object a line {"file", "chunk_bytes", "width"}; writes one CID a line.
import { openAsBlob } from 'node:fs'
import { createInterface } from 'node:readline'
import * as UnixFS from '@ipld/unixfs'
import { withMaxChunkSize } from '@ipld/unixfs/file/chunker/fixed'
import { withWidth } from '@ipld/unixfs/file/layout/balanced'
import { createFileEncoderStream } from 'ipfs-car'
import * as raw from 'multiformats/codecs/raw'

for await (const line of createInterface({ input: process.stdin })) {
  const { file, chunk_bytes: chunkBytes, width } = JSON.parse(line)
  const settings = UnixFS.configure({
    fileChunkEncoder: raw,
    smallFileEncoder: raw,
    chunker: withMaxChunkSize(chunkBytes),
    fileLayout: withWidth(width)
  })
  let last
  for await (const block of createFileEncoderStream(await openAsBlob(file), settings)) last = block
  console.log(last.cid.toString())
}
