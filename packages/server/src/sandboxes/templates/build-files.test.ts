import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { loadConfig } from '../../config.ts'
import { gathered } from '../files/archives/streams.ts'
import { hasBuildFiles, purgeBuildFiles, putBuildFiles, readBuildFiles } from './build-files.ts'

const HASH = 'a'.repeat(64)
const OTHER = 'b'.repeat(64)

let dataDir: string
let context: Parameters<typeof putBuildFiles>[0]
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'caisson-build-files-'))
  const config = loadConfig({ dataDir, driver: 'memory' }, {})
  context = { config: { ...config, build: { ...config.build, maxUpload: 10 } }, failpoint: () => {} }
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
  for (const text of texts) yield Buffer.from(text)
}
const names = () => readdir(join(dataDir, 'build-files'))
const text = async (hash: string) => (await gathered(readBuildFiles(context, hash))).toString()

test('files are there when all of them have come, and replaced as a whole', async () => {
  expect(await hasBuildFiles(context, HASH)).toBe(false)
  await putBuildFiles(context, HASH, pieces('12345', '67890'))
  expect(await hasBuildFiles(context, HASH)).toBe(true)
  const reading = readBuildFiles(context, HASH)[Symbol.asyncIterator]()
  const first = await reading.next()
  await putBuildFiles(context, HASH, pieces('new'))
  expect([Buffer.from(first.value).toString(), (await reading.next()).done]).toEqual(['1234567890', true])
  expect(await text(HASH)).toBe('new')
})

test('too much, a sender that fails, and one that was called off leave nothing', async () => {
  await expect(putBuildFiles(context, HASH, pieces('12345678901'))).rejects.toMatchObject({
    code: 'payload_too_large',
  })
  async function* failing() {
    yield Buffer.from('x')
    throw new Error('cut off')
  }
  await expect(putBuildFiles(context, HASH, failing())).rejects.toThrow('cut off')
  const aborted = putBuildFiles(context, HASH, pieces('x'), AbortSignal.abort(new Error('gone')))
  await expect(aborted).rejects.toThrow('gone')
  expect(await names()).toEqual([])
})

test('a name that is no hash is no path', async () => {
  await expect(hasBuildFiles(context, '../../etc/passwd')).rejects.toThrow('names no files')
  await expect(putBuildFiles(context, `${HASH}/x`, pieces('x'))).rejects.toThrow('names no files')
  expect(() => readBuildFiles(context, '..')).toThrow('names no files')
})

test('what nobody has asked for goes, and what a death cut off', async () => {
  await purgeBuildFiles(context, Date.now())
  for (const hash of [HASH, OTHER]) await putBuildFiles(context, hash, pieces('x'))
  const old = new Date(1000)
  for (const hash of [HASH, OTHER]) await utimes(join(dataDir, 'build-files', hash), old, old)
  await writeFile(join(dataDir, 'build-files/.unfinished-tmp_1'), 'x')
  await hasBuildFiles(context, OTHER)
  await putBuildFiles(
    context,
    'c'.repeat(64),
    (async function* () {
      await purgeBuildFiles(context, 2000)
      yield Buffer.from('under way')
    })(),
  )
  expect((await names()).sort()).toEqual([OTHER, 'c'.repeat(64)])
})
