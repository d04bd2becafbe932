import { createWriteStream } from 'node:fs'
import { mkdir, readdir, rm, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { createGunzip } from 'node:zlib'
import { newId } from '../../../core/ids.ts'
import { drained } from '../../../drained.ts'
import type { Context } from '../../context.ts'
import { peek, through } from '../../files/archives/streams.ts'
import { received } from '../received.ts'
import { unzstd } from '../unzstd.ts'
import { ImageError } from './image-error.ts'

/** Of what is free where images are received, so much may be taken. */
const SHARE = 0.8
const MAX_BYTES = 64 * 2 ** 30
const GZIP = '1f8b'
const ZSTD = '28b52ffd'

/** Directories in use, of all servers in this process. */
const inUse = new Set<string>()

/** Removes what imports left that a server's death cut off. */
export async function removeCutImports({ config }: Pick<Context, 'config'>): Promise<void> {
  const home = homeOf(config)
  const names = await readdir(home).catch((): string[] => [])
  const cut = names.map((name) => join(home, name)).filter((path) => !inUse.has(path))
  await Promise.all(cut.map((path) => rm(path, { recursive: true, force: true })))
}

function homeOf({ dataDir }: Context['config']): string {
  return join(dataDir, 'imports')
}

/** A directory of one import's own, which is removed when it is disposed. */
export async function importDirectory({
  config,
}: Pick<Context, 'config'>): Promise<AsyncDisposable & { path: string; maxBytes: number }> {
  const path = join(homeOf(config), newId('tmp'))
  inUse.add(path)
  await mkdir(path, { recursive: true, mode: 0o700 })
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
  const magic = head.toString('hex', 0, 4)
  const plain = magic.startsWith(GZIP) ? through(all, createGunzip()) : magic === ZSTD ? unzstd(all) : all
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
