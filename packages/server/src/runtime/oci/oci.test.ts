import { readFileSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import type { RootPlan } from '../../core/plan.ts'
import type { Hierarchy } from '../../launcher/client.ts'
import { describeStatus } from './index.ts'
import { toLaunchPlan } from './plan.ts'
import { CAPABILITIES } from './profile.ts'
import { readUsage } from './usage.ts'

const plan = (root: RootPlan) => ({
  id: 'sbx_1',
  hostname: 'sbx-1',
  idBase: 100_000,
  root,
  limits: { memoryBytes: 1, cpuMillis: 2, pids: 3 },
})

test('a plan keeps its layers; the rest follows from the id', () => {
  const root = {
    kind: 'overlay',
    lowers: ['images/a'],
    upper: 'sandboxes/sbx_1/upper',
    work: 'sandboxes/sbx_1/work',
  } as const
  expect(toLaunchPlan(plan({ ...root, lowers: ['images/a'] })).root).toEqual({
    kind: 'overlay',
    lowers: ['images/a'],
  })
  expect(toLaunchPlan(plan({ kind: 'directory', path: 'sandboxes/sbx_1/rootfs' })).root).toEqual({
    kind: 'directory',
  })
})

test('a root of the pool is its layers, and a dump is handed on', () => {
  const root = { kind: 'pool', lowers: ['saves/sav_1', 'images/a'] } as const
  const asked = toLaunchPlan({ ...plan({ ...root, lowers: [...root.lowers] }), dump: 'dmp_1' })
  expect(asked).toMatchObject({ root, dump: 'dmp_1' })
  expect(toLaunchPlan(plan({ kind: 'pool', lowers: [] }))).not.toHaveProperty('dump')
})

test('volumes are handed on, with what may be done to them', () => {
  const volumes = [{ volume: 'vol_1', path: '/data', readOnly: true }]
  const root = { kind: 'pool' as const, lowers: [] }
  expect(toLaunchPlan({ ...plan(root), volumes })).toMatchObject({ volumes })
})

test('a root that lies elsewhere is refused', () => {
  const foreign = {
    kind: 'overlay',
    lowers: [],
    upper: 'sandboxes/sbx_2/upper',
    work: 'sandboxes/sbx_1/work',
  } as const
  expect(() => toLaunchPlan(plan({ ...foreign, lowers: [] }))).toThrow('must be sandboxes/sbx_1/upper')
  expect(() => toLaunchPlan(plan({ kind: 'directory', path: '/' }))).toThrow('must be sandboxes/sbx_1/rootfs')
})

test.each([
  [0, '0'],
  [7 << 8, '7'],
  [9, 'SIGKILL'],
  [11 | 0x80, 'SIGSEGV'],
  [null, 'unknown'],
])('wait status %s is %s', (waitStatus, text) => {
  expect(describeStatus({ waitStatus })).toBe(text)
})

test('usage is read from v1 and v2 groups alike', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'caisson-usage-'))
  const files: Record<string, Record<string, string>> = {
    v1: {
      'memory.usage_in_bytes': '4096\n',
      'memory.oom_control': 'oom_kill_disable 0\nunder_oom 0\noom_kill 2\n',
      'cpuacct.usage': '1500000\n',
      'pids.current': '3\n',
    },
    v2: {
      'memory.current': '4096\n',
      'memory.events': 'low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\noom_group_kill 0\n',
      'cpu.stat': 'usage_usec 1500\nuser_usec 1000\n',
      'pids.current': '3\n',
    },
  }
  const hierarchies = (version: 1 | 2, names: string[]) =>
    new Map<string, Hierarchy>(names.map((name) => [name, { version, dir: join(dir, `v${version}`) }]))
  try {
    for (const [version, contents] of Object.entries(files)) {
      await mkdir(join(dir, version, 'sbx'), { recursive: true })
      for (const [name, text] of Object.entries(contents))
        await writeFile(join(dir, version, 'sbx', name), text)
    }
    const expected = { memoryBytes: 4096, cpuUsec: 1500, pids: 3, oomKills: 2 }
    const v1 = hierarchies(1, ['memory', 'cpu', 'cpuacct', 'pids'])
    const v2 = hierarchies(2, ['memory', 'cpu', 'pids'])
    expect(await readUsage(v1, 'sbx')).toEqual(expected)
    expect(await readUsage(v2, 'sbx')).toEqual(expected)
    expect(await readUsage(v2, 'gone')).toBeNull()
  } finally {
    await rm(dir, { recursive: true })
  }
})

test('every row of the profile has a reason, and no system call two unconditional rows', () => {
  const text = readFileSync(join(import.meta.dirname, 'seccomp.json'), 'utf8')
  const { rows } = JSON.parse(text) as {
    rows: { reason: string; names: string[]; args?: unknown[]; otherwise?: boolean }[]
  }
  const seen = new Set<string>()
  for (const { reason, names, args, otherwise } of rows) {
    expect(reason).not.toBe('')
    for (const name of args || otherwise ? [] : names) {
      expect(seen.has(name), name).toBe(false)
      seen.add(name)
    }
  }
})

test('capabilities that open the host are not in the profile', () => {
  const names = CAPABILITIES.map((row) => row.name)
  for (const name of [
    'SYS_ADMIN',
    'SYS_PTRACE',
    'NET_ADMIN',
    'NET_RAW',
    'MKNOD',
    'SYS_MODULE',
    'DAC_READ_SEARCH',
  ])
    expect(names).not.toContain(`CAP_${name}`)
})
