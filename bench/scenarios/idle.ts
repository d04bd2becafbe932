import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Sandbox } from 'caisson'
import { groupsOf } from '../data-directory.ts'
import { cpuSeconds, memoryInfo, residentSize, toMiB } from '../host.ts'
import type { Outcome, Run, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { summarize } from '../stats.ts'

const AT_ONCE = 4
const SETTLE_MS = 3000
/** "About 0": a hundredth of one core. */
const IDLE_CPU_PERCENT = 1

/** What sandboxes cost that do nothing, and the server that keeps them. */
export const idle: Scenario = {
  name: 'idle',
  title: 'Idle sandboxes',
  async run(run): Promise<Outcome> {
    const count = run.quick ? 50 : 300
    await using server = await BenchServer.start(run.workDir)
    await using first = await Sandbox.create({ client: server.client })
    await first.exec(['true'])
    const empty = await measure(server)
    run.progress(`creating ${count}`)
    const creates = await createMany(server, count)
    const full = await measure(server)
    run.progress('waiting')
    const cpu = await idleCpu(server, run)
    const settled = await measure(server)
    run.progress('deleting')
    await deleteAllBut(server, first.id)
    const after = await measure(server)
    const perSandbox = (from: number, to: number) => (to - from) / count
    // The server's own growth is told apart below; here is what the sandboxes themselves cost.
    const growth = settled.server - empty.server
    const byHost = perSandbox(settled.available, empty.available - growth)
    const byHostBack = perSandbox(settled.available, after.available)
    return {
      series: { 'create, four at once': creates },
      figures: [
        {
          name: `per sandbox, MemAvailable before − with ${count}, less the server's growth`,
          value: byHost,
          unit: 'MiB',
        },
        { name: `per sandbox, MemAvailable after − with ${count}`, value: byHostBack, unit: 'MiB' },
        {
          name: 'per sandbox, charged to its memory cgroup',
          value: perSandbox(empty.groups, settled.groups),
          unit: 'MiB',
        },
        {
          name: "per sandbox, the host's unreclaimable slab",
          value: perSandbox(empty.slab, settled.slab),
          unit: 'MiB',
        },
        { name: 'server, resident, one sandbox', value: empty.server, unit: 'MiB' },
        { name: `server, resident, ${count} just created`, value: full.server, unit: 'MiB' },
        { name: `server, resident, ${count} idle`, value: settled.server, unit: 'MiB' },
        { name: `launcher, resident, ${count} idle`, value: settled.launcher, unit: 'MiB' },
        { name: 'server, CPU while idle', value: cpu.server, unit: '%' },
        { name: 'launcher, CPU while idle', value: cpu.launcher, unit: '%' },
      ],
      targets: [
        {
          promise: `idle sandbox, host memory each (${count}): cgroup and slab`,
          value: perSandbox(empty.groups + empty.slab, settled.groups + settled.slab),
          limit: 2,
          unit: 'MiB',
        },
        {
          promise: `server, resident with ${count} sandboxes`,
          value: settled.server,
          limit: 150,
          unit: 'MiB',
        },
        { promise: 'server, CPU while idle', value: cpu.server, limit: IDLE_CPU_PERCENT, unit: '%' },
      ],
      notes: [
        'Cgroup and slab overlap, since the kernel charges most slab of a sandbox to its cgroup: their sum is an upper bound. MemAvailable sees the rest of the machine as well, and tells only where nothing else runs.',
      ],
    }
  },
}

interface Measure {
  available: number
  slab: number
  groups: number
  server: number
  launcher: number
}

/** MiB; the host's figures are medians, for others use the machine too. */
async function measure(server: BenchServer): Promise<Measure> {
  await sleep(SETTLE_MS)
  const available: number[] = []
  const slab: number[] = []
  for (let i = 0; i < 5; i++) {
    const { MemAvailable, SUnreclaim } = memoryInfo()
    available.push(MemAvailable)
    slab.push(SUnreclaim)
    await sleep(100)
  }
  return {
    available: summarize(available).p50,
    slab: summarize(slab).p50,
    groups: chargedMemory(server.dataDir),
    server: residentSize(server.pid).now,
    launcher: residentSize(server.launcherPid).now,
  }
}

/** Everything below the instance's group of the memory controller. */
function chargedMemory(dataDir: string): number {
  for (const group of groupsOf(dataDir))
    for (const file of ['memory.usage_in_bytes', 'memory.current']) {
      try {
        return toMiB(Number(readFileSync(join(group, file), 'utf8')))
      } catch {
        // Another controller's hierarchy.
      }
    }
  return Number.NaN
}

async function createMany(server: BenchServer, count: number): Promise<number[]> {
  const times: number[] = []
  let left = count
  const worker = async () => {
    while (left-- > 0) {
      const since = performance.now()
      await Sandbox.create({ client: server.client, idleTimeout: 0 })
      times.push(performance.now() - since)
    }
  }
  await Promise.all(Array.from({ length: AT_ONCE }, worker))
  return times
}

async function idleCpu(server: BenchServer, run: Run): Promise<{ server: number; launcher: number }> {
  const seconds = run.quick ? 5 : 20
  const pids = { server: server.pid, launcher: server.launcherPid }
  const before = { server: cpuSeconds(pids.server), launcher: cpuSeconds(pids.launcher) }
  await sleep(seconds * 1000)
  const percent = (name: 'server' | 'launcher') => ((cpuSeconds(pids[name]) - before[name]) / seconds) * 100
  return { server: percent('server'), launcher: percent('launcher') }
}

async function deleteAllBut(server: BenchServer, kept: string): Promise<void> {
  for (;;) {
    const { sandboxes } = await server.client.call('listSandboxes', { limit: 100 })
    const ids = sandboxes.map(({ id }) => id).filter((id) => id !== kept)
    if (ids.length === 0) return
    await Promise.all(ids.map((id) => server.client.call('deleteSandbox', { id })))
  }
}
