import { existsSync, readdirSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'vitest'
import { driverSuite, NO_MEMORY, NO_NETWORK, NO_VOLUMES, type World } from '../conformance.ts'
import { LocalDriver } from './index.ts'
import { findMarked } from './processes.ts'

const agent = resolve(import.meta.dirname, '../../../../../native/build/agent')
let last = 0

async function openWorld(): Promise<World> {
  const top = await mkdtemp(join(tmpdir(), 'caisson-local-'))
  // Deeper than the 107 bytes of a socket address.
  const dataDir = join(top, 'a'.repeat(60), 'b'.repeat(60))
  const agents = (id: string) => findMarked('cmdline', `caisson-agent:${id}`)
  return {
    driver: () => new LocalDriver({ dataDir, agent }),
    plan: async () => {
      const id = `sbx_local_${process.pid}_${++last}`
      const path = `sandboxes/${id}/rootfs`
      await mkdir(join(dataDir, path), { recursive: true })
      const limits = { memoryBytes: 1 << 30, cpuMillis: 1000, pids: 100 }
      return { id, hostname: 'local', idBase: 131_072, root: { kind: 'directory', path }, limits }
    },
    breakPlan: (plan) => ({ ...plan, root: { kind: 'directory', path: 'sandboxes/missing' } }),
    scratch: top,
    killAgent: async (id) => {
      for (const { pid } of agents(id)) process.kill(pid, 'SIGKILL')
    },
    leftovers: async (id) => {
      const files = readdirSync(join(dataDir, 'run')).filter((name) => name.includes(id))
      const marked = findMarked('environ', `CAISSON_SANDBOX=${id}`)
      return [...files, ...[...agents(id), ...marked].map(({ pid }) => `process ${pid}`)]
    },
    close: () => rm(top, { recursive: true, force: true }),
  }
}

if (existsSync(agent))
  driverSuite('local', openWorld, {
    'memory is limited and the kill is counted': 'it enforces no limits',
    'processes are limited': 'it enforces no limits',
    ...NO_MEMORY,
    ...NO_NETWORK,
    ...NO_VOLUMES,
  })
else test.skip('local driver (native/build/agent is not built)')
