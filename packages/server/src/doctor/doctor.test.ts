import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Config } from '../config.ts'
import { cgroups, findHierarchies } from './cgroups.ts'
import { runDoctor } from './index.ts'
import { agent, crun, dataDirectory, listener, seccomp } from './installation.ts'

let dataDir: string
beforeEach(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'caisson-doctor-'))
})
afterEach(() => rm(dataDir, { recursive: true, force: true }))

function config(change: Partial<Config>): Config {
  const absent = join(dataDir, 'absent')
  const files = { crun: absent, agent: absent, launcher: absent, seccomp: absent, imagesDir: absent }
  const runtimesDir = resolve(import.meta.dirname, '../../../../runtimes')
  const settings = {
    dataDir,
    runtimesDir,
    listen: null,
    driver: 'oci',
    storage: 'overlay',
    ...files,
    ...change,
  }
  return settings as Config
}

test('a host without what the driver needs is not ready, and every gap says how to mend it', async () => {
  const report = await runDoctor(config({}))
  expect(report.ok).toBe(false)
  const gaps = report.checks.filter(({ state }) => state === 'missing')
  const ids = gaps.map(({ id }) => id)
  expect(ids).toEqual(expect.arrayContaining(['crun', 'agent', 'launcher', 'seccomp', 'base-runtime']))
  for (const gap of gaps) expect(gap.fix, gap.id).toMatch(/\.$/)
})

test('a driver that needs nothing of them is ready and says that it isolates nothing', async () => {
  const report = await runDoctor(config({ driver: 'memory', storage: 'memory' }))
  expect(report.ok).toBe(true)
  expect(report.isolation).toMatch(/^Nothing runs/)
})

test('checking leaves nothing in the data directory', async () => {
  await runDoctor(config({}))
  expect(await readdir(dataDir)).toEqual([])
})

test('a known-bad runtime version is missing, by name; a good one is told', async () => {
  const fake = join(dataDir, 'crun')
  await writeFile(fake, '#!/bin/sh\necho crun version 99.1\n', { mode: 0o755 })
  expect(await crun(fake)).toMatchObject({ state: 'ok', detail: expect.stringContaining('99.1') })
  await writeFile(fake, '#!/bin/sh\necho crun version 0.1\n', { mode: 0o755 })
  expect(await crun(fake)).toMatchObject({ state: 'missing', detail: expect.stringContaining('CVE-') })
})

test('a program that fails is reported with its own words', async () => {
  const fake = join(dataDir, 'agent')
  await writeFile(fake, '#!/bin/sh\necho wrong machine >&2\nexit 1\n', { mode: 0o755 })
  expect((await agent(fake)).detail).toContain('wrong machine')
})

test('a filter that is cut off is not taken for one', async () => {
  const file = join(dataDir, 'seccomp.bpf')
  await writeFile(file, Buffer.alloc(12))
  expect((await seccomp(file)).state).toBe('missing')
  await writeFile(file, Buffer.alloc(16))
  expect((await seccomp(file)).detail).toContain('2 instructions')
})

test('a data directory that others can write is degraded; one that is a file is missing', async () => {
  const open = join(dataDir, 'open')
  await mkdir(open)
  await chmod(open, 0o777)
  expect((await dataDirectory(open)).state).toBe('degraded')
  const file = join(dataDir, 'file')
  await writeFile(file, '')
  expect((await dataDirectory(file)).state).toBe('missing')
})

test('a listen address in use is told apart from one that cannot be bound', async () => {
  const server = createServer()
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address() as { port: number }
  expect((await listener(`127.0.0.1:${port}`)).state).toBe('degraded')
  await new Promise((done) => server.close(done))
  expect((await listener(`127.0.0.1:${port}`)).state).toBe('ok')
  expect((await listener('192.0.2.1:1')).state).toBe('missing')
})

test('controllers are found on v1, v2 and hybrid hosts', async () => {
  const v2 = join(dataDir, 'unified')
  await mkdir(v2)
  await writeFile(join(v2, 'cgroup.controllers'), 'cpu memory pids\n')
  const lines = [
    '24 23 0:21 / /sys/fs/cgroup/memory rw,relatime shared:9 - cgroup cgroup rw,memory',
    '25 23 0:22 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct',
    `26 23 0:23 / ${v2} rw,relatime shared:4 master:1 - cgroup2 cgroup2 rw,nsdelegate`,
    '27 23 0:24 / /tmp rw - tmpfs tmpfs rw,size=1k',
  ].join('\n')
  expect((await findHierarchies(lines)).map(({ version, controllers }) => [version, ...controllers])).toEqual(
    [
      [1, 'rw', 'memory'],
      [1, 'rw', 'cpu', 'cpuacct'],
      [2, 'cpu', 'memory', 'pids'],
    ],
  )
  const mountinfo = join(dataDir, 'mountinfo')
  await writeFile(mountinfo, `26 23 0:23 / ${v2} rw - cgroup2 cgroup2 rw\n`)
  expect(await cgroups(mountinfo)).toMatchObject({ state: 'ok', detail: 'memory v2, cpu v2, pids v2' })
  await writeFile(mountinfo, '')
  expect((await cgroups(mountinfo)).state).toBe('missing')
})
