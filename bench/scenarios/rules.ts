import { join, resolve } from 'node:path'
import { type Client, Sandbox } from 'caisson'
import type { PacketRules } from '../../packages/server/src/core/network/types.ts'
import { Launcher } from '../../packages/server/src/launcher/client.ts'
import { NetworkedServer } from '../networks.ts'
import type { Outcome, Run, Scenario } from '../scenario.ts'
import { type Series, summarize } from '../stats.ts'

const SANDBOXES = 300
const RULES = 100
const AT_ONCE = 8
/** Others that each sandbox tries to reach, at both of their addresses. */
const PEERS = 20

const THROUGH_API = `setNetwork, ${SANDBOXES} sandboxes of ${RULES} rules`
const BY_KERNEL = 'the same, by the launcher and the kernel alone'

/** Many sandboxes with many rules each: how fast rules change, and whether anyone reaches another. */
export const rules: Scenario = {
  name: 'rules',
  title: `Rules of ${SANDBOXES} networked sandboxes`,
  async run(run): Promise<Outcome> {
    const count = run.quick ? 50 : SANDBOXES
    await using networked = await NetworkedServer.start(run.workDir)
    const { server } = networked
    const boxes = await createAll(server.client, count, run)
    const series = await changeRules(server.client, boxes, run)
    series[BY_KERNEL] = await changeInKernel(server.dataDir, boxes, run)
    const reached = await neighbours(server.client, boxes, run)
    run.progress('deleting')
    await inTurns(boxes, (box) => box.delete())
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    return {
      series,
      targets: [
        {
          promise: `a change of ${RULES} rules, p50, through the API`,
          value: p50(THROUGH_API),
          limit: 5,
          unit: 'ms',
        },
        { promise: `of it, launcher and kernel, p50`, value: p50(BY_KERNEL), limit: 5, unit: 'ms' },
        { promise: `${count} networked sandboxes: neighbours reached`, value: reached, limit: 0, unit: '' },
      ],
    }
  },
}

/** Other ranges for each sandbox and turn. */
const rulesOf = (sandbox: number, turn: number): string[] =>
  Array.from({ length: RULES }, (_, n) => `${20 + ((sandbox + turn) % 60)}.${n * 2}.0.0/16`)

async function createAll(client: Client, count: number, run: Run): Promise<Sandbox[]> {
  const boxes: Sandbox[] = []
  await inTurns(
    Array.from({ length: count }, (_, n) => n),
    async (n) => {
      const network = { allow: rulesOf(n, 0) }
      boxes.push((await Sandbox.create({ client, network, resources: { memory: '64Mi' } })).keep())
      if (boxes.length % 50 === 0) run.progress(`${boxes.length} sandboxes`)
    },
  )
  return boxes
}

/** One change after the other, of one sandbox after the other. */
async function changeRules(client: Client, boxes: Sandbox[], run: Run): Promise<Series> {
  const samples: number[] = []
  run.progress('changing rules')
  for (let turn = 0; turn < (run.quick ? 100 : 600); turn++) {
    const sandbox = turn % boxes.length
    const allow = rulesOf(sandbox, turn + 1)
    const since = performance.now()
    await client.call('setNetwork', { id: boxes[sandbox]!.id, network: { allow } })
    samples.push(performance.now() - since)
  }
  return { [THROUGH_API]: samples }
}

/** What the launcher is asked for in the end, without a server before it. */
async function changeInKernel(dataDir: string, boxes: Sandbox[], run: Run): Promise<number[]> {
  const native = resolve(import.meta.dirname, '../../native/build')
  const [program, agent, seccomp] = ['launcher', 'agent', 'seccomp.bpf'].map((name) => join(native, name))
  const paths = { program: program!, agent: agent!, seccomp: seccomp!, crun: '', imagesDir: '', instance: '' }
  const launcher = new Launcher({ ...paths, dataDir, socket: join(dataDir, 'run/launcher.sock') })
  const samples: number[] = []
  try {
    for (let turn = 0; turn < (run.quick ? 100 : 600); turn++) {
      const sandbox = turn % boxes.length
      const rules = packetsOf(rulesOf(sandbox, turn + 2))
      const since = performance.now()
      await launcher.setRules(boxes[sandbox]!.id, rules, [])
      samples.push(performance.now() - since)
    }
  } finally {
    await launcher.close()
  }
  return samples
}

function packetsOf(ranges: string[]): PacketRules {
  const allow4 = ranges.toSorted(byNumbers).map((text) => {
    const [a = 0, b = 0] = text.split('.').map(Number)
    return { first: Uint8Array.of(a, b, 0, 0), last: Uint8Array.of(a, b, 255, 255) }
  })
  return { allow4, allow6: [], named4: [], named6: [], byName: false }
}

const byNumbers = (a: string, b: string) => Number(a.split('.')[1]) - Number(b.split('.')[1])

/** @returns how many neighbours answered. */
async function neighbours(client: Client, boxes: Sandbox[], run: Run): Promise<number> {
  run.progress('trying neighbours')
  const addresses = await Promise.all(
    boxes.map(async ({ id }) => (await client.call('getNetwork', { id })).addresses),
  )
  let reached = 0
  await inTurns([...boxes.entries()], async ([index, box]) => {
    const others = Array.from({ length: PEERS }, (_, n) => (index + 1 + n * 7) % boxes.length)
      .filter((other) => other !== index)
      .flatMap((other) => addresses[other]!)
    const { stdout } = await box.exec(['python3', '-c', CONNECT, ...others])
    reached += Number(stdout)
  })
  return reached
}

/** A closed port of somebody who is there would refuse just as we do; so all listen at port 7003 while they try. */
const CONNECT = `import socket, sys
l = socket.create_server(('::', 7003), family=socket.AF_INET6, dualstack_ipv6=True)
n = 0
for a in sys.argv[1:]:
  s = socket.socket(socket.AF_INET6 if ':' in a else socket.AF_INET); s.settimeout(2)
  try: s.connect((a, 7003)); n += 1
  except OSError: pass
print(n)`

async function inTurns<T>(items: readonly T[], work: (item: T) => Promise<unknown>): Promise<void> {
  const waiting = [...items]
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let item = waiting.shift(); item !== undefined; item = waiting.shift()) await work(item)
    }),
  )
}
