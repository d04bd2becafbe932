import { expect, test } from 'vitest'
import type { Ability } from '../launcher/client.ts'
import { diskLimits, freezer, memoryOnDisk, pool } from './storage.ts'

const able = (name: string): Ability => ({ name, ok: true, detail: `${name} is there` })
const lacks = (name: string): Ability => ({ name, ok: false, detail: `${name} is not there` })

test('what is there is told', () => {
  const all = ['btrfs', 'pool', 'disk-limits', 'freezer', 'dumps'].map(able)
  expect(pool(all, true)).toMatchObject({ state: 'ok', detail: 'pool is there' })
  for (const check of [diskLimits, freezer]) expect(check(all).state).toBe('ok')
  expect(memoryOnDisk(all).state).toBe('ok')
})

test('without a pool the storage is an overlay, unless the configuration insists on one', () => {
  for (const abilities of [
    [lacks('btrfs'), lacks('pool')],
    [able('btrfs'), lacks('pool')],
  ]) {
    expect(pool(abilities, false)).toMatchObject({
      state: 'degraded',
      detail: expect.stringMatching(/no snapshots, checkpoints and forks$/),
    })
    expect(pool(abilities, true).state).toBe('missing')
    expect(pool(abilities, true).fix).toContain('btrfs-progs')
  }
  expect(pool([able('btrfs')], true)).toMatchObject({ state: 'ok', detail: 'btrfs is there' })
})

test('a pool without limits is told', () => {
  const found = diskLimits([able('pool'), lacks('disk-limits')])
  expect(found).toMatchObject({ state: 'degraded', detail: expect.stringContaining('can fill the disk') })
})

test('without a freezer or criu a pause keeps less, and says what', () => {
  expect(freezer([lacks('freezer')])).toMatchObject({
    state: 'degraded',
    detail: expect.stringContaining('ends what runs'),
  })
  expect(memoryOnDisk([])).toMatchObject({
    state: 'degraded',
    detail: expect.stringContaining('criu is not installed'),
  })
  expect(memoryOnDisk([lacks('dumps')]).detail).toContain('dumps is not there')
})

test('a launcher that does not answer is the thing to mend', () => {
  for (const check of [pool, diskLimits, freezer, memoryOnDisk]) {
    const finding = check(new Error('gone'), false)
    expect(finding).toMatchObject({ state: 'missing', fix: 'Mend the launcher first.' })
  }
})
