// A node made of Helia's own parts (block store, UnixFS, CAR) behind the two interfaces that our
// client speaks. It shares no code with ours, so that agreement between the two means something.
// Prints its URL; ends when its standard input does.
import { createServer } from 'node:http'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { car } from '@helia/car'
import { unixfs } from '@helia/unixfs'
import { CarReader } from '@ipld/car'
import * as dagPb from '@ipld/dag-pb'
import { defaultLogger } from '@libp2p/logger'
import { MemoryBlockstore } from 'blockstore-core'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256 } from 'multiformats/hashes/sha2'

const codecs = { raw, 'dag-pb': dagPb }
const blockstore = new MemoryBlockstore()
const getCodec = (code) => Object.values(codecs).find((codec) => codec.code === code)
const archive = car({ blockstore, getCodec, logger: defaultLogger() })
const files = unixfs({ blockstore })

class Refusal extends Error {
  constructor (status, message) {
    super(message)
    this.status = status
  }
}

async function collect (pieces) {
  const found = []
  for await (const piece of pieces) found.push(piece)
  return Buffer.concat(found)
}

async function uploaded (request) {
  const body = await collect(request)
  const form = await new Response(body, { headers: request.headers }).formData()
  return new Uint8Array(await form.get('file').arrayBuffer())
}

const commands = {
  version: async () => ({ Version: 'helia-parts' }),

  'block/put': async (request, query) => {
    const data = await uploaded(request)
    const codec = codecs[query.get('cid-codec')]
    const cid = CID.createV1(codec.code, await sha256.digest(data))
    await blockstore.put(cid, data)
    return { Key: cid.toString(), Size: data.length }
  },

  'dag/import': async (request) => {
    const reader = await CarReader.fromBytes(await uploaded(request))
    await archive.import(reader)
    const [root] = await reader.getRoots()
    return { Root: { Cid: { '/': root.toString() }, PinErrorMsg: '' } }
  },

  add: async (request) => {
    const cid = await files.addBytes(await uploaded(request), { profile: 'unixfs-v1-2025' })
    return { Name: cid.toString(), Hash: cid.toString() }
  },

  cat: async (request, query) => collect(files.cat(CID.parse(query.get('arg'))))
}

async function command (name, request, response, query) {
  if (request.method !== 'POST' || !(name in commands)) throw new Refusal(404, 'no such command')
  const answer = await commands[name](request, query)
  response.end(answer instanceof Uint8Array ? answer : JSON.stringify(answer) + '\n')
}

async function read (text, request, response, query) {
  const cid = CID.parse(text)
  if (!(await blockstore.has(cid))) throw new Refusal(404, 'not found')
  const wantsArchive = query.get('format') === 'car'
  response.setHeader('Content-Type', `application/vnd.ipld.${wantsArchive ? 'car; version=1' : 'raw'}`)
  const pieces = wantsArchive ? archive.export(cid) : blockstore.get(cid)
  await pipeline(Readable.from(pieces), response)
}

const server = createServer(async (request, response) => {
  const url = new URL(request.url, 'http://localhost')
  try {
    const [, kind, ...rest] = url.pathname.split('/')
    if (kind === 'ipfs') await read(rest[0], request, response, url.searchParams)
    else await command(rest.slice(1).join('/'), request, response, url.searchParams)
  } catch (error) {
    response.statusCode = error.status ?? 500
    response.end(JSON.stringify({ Message: error.message, Type: 'error' }))
  }
})

server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`))
process.stdin.resume().on('end', () => process.exit(0))
