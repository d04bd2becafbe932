import { mkdtemp, rm, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { poolSizeOf } from './size.ts'

let data: string
beforeEach(async () => {
  data = await mkdtemp(join(tmpdir(), 'caisson-size-'))
})
afterEach(() => rm(data, { recursive: true, force: true }))

test('the configured size is taken as it is; one that is too small or none is refused', async () => {
  expect(await poolSizeOf(data, '5Gi')).toBe(5 * 2 ** 30)
  await expect(poolSizeOf(data, '100Mi')).rejects.toThrow('less than the minimum of 256Mi')
  await expect(poolSizeOf(data, 'much')).rejects.toThrow('poolSize')
})

test('by default a share of what is free, and never less than the pool is already', async () => {
  expect(await poolSizeOf(data, null)).toBeGreaterThanOrEqual(256 * 2 ** 20)
  await writeFile(join(data, 'pool.img'), '')
  await truncate(join(data, 'pool.img'), 2 ** 43)
  expect(await poolSizeOf(data, null)).toBe(2 ** 43)
})
