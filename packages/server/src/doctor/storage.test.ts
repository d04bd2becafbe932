import { expect, test } from 'vitest'
import type { Ability } from '../launcher/client.ts'
import { diskLimits, freezer, memoryOnDisk, pool } from './storage.ts'

const able = (name: string): Ability => ({ name, ok: true, detail: `${name} is there` })
const lacks = (name: string): Ability => ({ name, ok: false, detail: `${name} is not there` })

test('what is there is told', () => {
  const all = ['btrfs', 'pool', 'disk-limits', 'freezer', 'dumps'].map(able)
  expect(pool(all, 'btrfs')).toMatchObject({ state: 'ok', detail: 'pool is there' })
  for (const check of [diskLimits, freezer]) expect(check(all, 'auto').state).toBe('ok')
  expect(memoryOnDisk(all).state).toBe('ok')
})

test('without a pool the storage is an overlay, unless the configuration insists on one', () => {
  for (const abilities of [
    [lacks('btrfs'), lacks('pool')],
    [able('btrfs'), lacks('pool')],
  ]) {
    expect(pool(abilities, 'auto')).toMatchObject({
      state: 'degraded',
      detail: expect.stringMatching(/no snapshots, checkpoints and forks$/),
    })
    expect(pool(abilities, 'btrfs').state).toBe('missing')
    expect(pool(abilities, 'btrfs').fix).toContain('btrfs-progs')
  }
  expect(pool([able('btrfs')], 'btrfs')).toMatchObject({ state: 'ok', detail: 'btrfs is there' })
})

test('a pool without limits is told', () => {
  const found = diskLimits([able('pool'), lacks('disk-limits')], 'auto')
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
    const finding = check(new Error('gone'), 'auto')
    expect(finding).toMatchObject({ state: 'missing', fix: 'Mend the launcher first.' })
  }
})

test('a storage that is chosen without a pool lacks what a pool gives, and that is told', () => {
  for (const check of [pool, diskLimits])
    for (const storage of ['overlay', 'copy'] as const)
      expect(check([able('pool'), able('btrfs'), able('disk-limits')], storage)).toMatchObject({
        state: 'degraded',
        detail: expect.stringMatching(
          `the storage is set to "${storage}": no snapshots, checkpoints and forks`,
        ),
        fix: expect.stringContaining('"btrfs"'),
      })
})
