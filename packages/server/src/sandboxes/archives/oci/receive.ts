import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip, createZstdDecompress } from 'node:zlib'
import { newId } from '../../../core/ids.ts'
import { drained } from '../../../drained.ts'
import type { Context } from '../../context.ts'
import { peek, through } from '../../files/archives/streams.ts'
import { received } from '../received.ts'
import { ImageError } from './image-error.ts'

/** Of what is free where images are received, so much may be taken. */
const SHARE = 0.8
const MAX_BYTES = 64 * 2 ** 30
const GZIP = '1f8b'
const ZSTD = '28b52ffd'

/** Directories in use, of all servers in this process. */
const inUse = new Set<string>()

/** A directory of one import's own, which is removed when it is disposed. Those that a dead server left go first. */
export async function importDirectory({
  config,
}: Pick<Context, 'config'>): Promise<AsyncDisposable & { path: string; maxBytes: number }> {
  const home = join(config.dataDir, 'imports')
  const path = join(home, newId('tmp'))
  inUse.add(path)
  await mkdir(path, { recursive: true, mode: 0o700 })
  for (const name of await readdir(home))
    if (!inUse.has(join(home, name))) await rm(join(home, name), { recursive: true, force: true })
  const { bavail, bsize } = await statfs(path)
  return {
    path,
    maxBytes: Math.min(MAX_BYTES, Math.floor(bavail * bsize * SHARE)),
    async [Symbol.asyncDispose]() {
      await rm(path, { recursive: true, force: true })
      inUse.delete(path)
    },
  }
}

/** Keeps an uploaded archive as a plain tar file. @returns its path @throws ImageError when it is too large */
export async function receiveArchive(
  data: AsyncIterable<Uint8Array>,
  { path, maxBytes }: { path: string; maxBytes: number },
): Promise<string> {
  const file = join(path, 'archive.tar')
  const { head, all } = await peek(received(data), 4)
  const magic = head.toString('hex')
  const plain = magic.startsWith(GZIP)
    ? through(all, createGunzip())
    : magic === ZSTD
      ? through(all, createZstdDecompress())
      : all
  await save(bounded(plain, maxBytes), file)
  return file
}

async function* bounded(data: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array> {
  let left = maxBytes
  for await (const piece of data) {
    left -= piece.length
    if (left < 0) throw new ImageError(`it is larger than the ${maxBytes} bytes that there is room for`)
    yield piece
  }
}

async function save(data: AsyncIterable<Uint8Array>, path: string): Promise<void> {
  const file = createWriteStream(path, { flags: 'wx', mode: 0o600 })
  const closed = new Promise<void>((resolve, reject) => file.on('error', reject).on('close', resolve))
  closed.catch(() => {})
  try {
    for await (const piece of data) if (!file.write(piece)) await drained(file)
    file.end()
  } catch (error) {
    file.destroy()
    await closed.catch(() => {})
    throw error
  }
  await closed
}
