import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { layersSuite } from '../conformance.ts'
import { LocalTreeHand } from '../local-tree-hand.ts'
import { CopyLayers } from './index.ts'

const open = (dataDir: string) =>
  new CopyLayers({ dataDir, imagesDir: join(dataDir, 'images'), hand: new LocalTreeHand(dataDir) })
layersSuite('copy', (dataDir) => ({ layers: open(dataDir) }), {
  saves: 'copies have none',
  volumes: 'they are directories of a pool',
  'keeps only': 'a copy cannot be rebuilt around a directory',
  limits: 'the file system is shared',
  counts: 'the file system is shared',
})

const image = { runtime: 'base:latest', digest: 'd', rootfs: 'images/base/d/rootfs', layers: [] }
const wanted = { image, layers: [], from: null, diskBytes: null }

test('a copied root holds what the image holds', async () => {
  await using data = await directory()
  await mkdir(join(data.path, image.rootfs), { recursive: true })
  await writeFile(join(data.path, image.rootfs, 'file'), 'content')
  const layers = open(data.path)
  await layers.open()
  await layers.prepare('sb_1', wanted)
  expect(await readFile(join(data.path, 'sandboxes/sb_1/rootfs/file'), 'utf8')).toBe('content')
})

test('a copy that fails or is aborted leaves nothing', async () => {
  await using data = await directory()
  const layers = open(data.path)
  await layers.open()
  await expect(layers.prepare('sb_1', wanted)).rejects.toThrow()
  await expect(layers.prepare('sb_2', wanted, AbortSignal.abort())).rejects.toThrow()
  expect(await layers.list()).toEqual([])
})

async function directory(): Promise<AsyncDisposable & { path: string }> {
  const path = await mkdtemp(join(tmpdir(), 'caisson-copy-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}
