import { setTimeout as delay } from 'node:timers/promises'
import { SandboxError } from '@caisson/protocol/errors'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { SandboxPlan } from '../core/plan.ts'
import { connectGuest } from '../guest/connect.ts'
import type { Guest, GuestExecution } from '../guest/guest.ts'
import type { Driver, Ended } from './driver.ts'
import { FILE_TESTS, fileTests } from './files-conformance.ts'
import { ManagedDriver } from './managed.ts'
import { MEMORY_TESTS, memoryTests, type Skip } from './memory-conformance.ts'
import { NETWORK_TESTS, type NetworkBench, networkTests, type Reachable } from './network-conformance.ts'
import { VOLUME_TESTS, volumeTests } from './volume-conformance.ts'

export { NO_MEMORY } from './memory-conformance.ts'
export { NO_NETWORK } from './network-conformance.ts'
export { NO_VOLUMES } from './volume-conformance.ts'

/** The surroundings of one test: a data directory of its own and what drivers share over a restart of the server. */
export interface World {
  /** Another driver on the same world, as a restarted server makes one; the suite opens and closes it. */
  driver(): Driver
  /** A plan with an id that was not used before and a root that is ready. `true`, `echo` and `sleep` must be in it. */
  plan(): Promise<SandboxPlan>
  /** Makes a plan impossible to start, such as by a root that is not there; absent: every plan starts. */
  breakPlan?(plan: SandboxPlan): SandboxPlan
  /** A directory that the files of a test go to where a sandbox sees those of the host; absent: /tmp. */
  scratch?: string
  /** A program that listens on a port, writes a line once it does, and sends back what it gets; absent: Perl can. */
  listener?(port: number): string[]
  /** Makes a volume, and answers its id; absent: the driver has none. */
  volume?(): Promise<string>
  /** What sandboxes can reach through a network; absent: they have none. */
  reachable?: Reachable
  /** Ends the agent of a sandbox as an accident would. */
  killAgent(id: string): Promise<void>
  /** What is left of a sandbox on this host: processes, sockets, files, mounts, cgroups. */
  leftovers(id: string): Promise<string[]>
  /** Undoes everything, running sandboxes included. */
  close(): Promise<void>
}

export const DRIVER_TESTS = [
  'a started sandbox runs programs',
  'starts at the same time do not disturb one another',
  'a new connection replaces the old one',
  'list tells what runs',
  'a restarted server finds its sandboxes, their output and their exit codes',
  'closing the driver leaves sandboxes running',
  'stop ends every process and leaves nothing',
  'stop ends what an earlier server started',
  'stop is idempotent and ignores unknown ids',
  'a start that fails leaves nothing',
  'an aborted start leaves nothing',
  'connecting to a sandbox that does not run is agent_lost',
  'the death of the agent is told and fails what waits',
  'the death of an agent of an earlier server is told',
  'memory is limited and the kill is counted',
  'processes are limited',
  ...MEMORY_TESTS,
  ...FILE_TESTS,
  ...NETWORK_TESTS,
  ...VOLUME_TESTS,
] as const
export type DriverTest = (typeof DRIVER_TESTS)[number]

/** Runs every promise of `driver.ts` against a driver. @param skips reasons, by test. */
export function driverSuite(
  name: string,
  openWorld: () => Promise<World>,
  skips: Partial<Record<DriverTest, string>> = {},
): void {
  describe(`${name} driver`, () => {
    const it = (title: DriverTest, run: (bench: Bench, skip: Skip) => Promise<void>) => {
      const reason = skips[title]
      if (reason === undefined) test(title, (context) => run(bench, (why) => context.skip(why)))
      else test.skip(`${title} (${reason})`)
    }
    let bench: Bench
    beforeEach(async () => {
      bench = await Bench.open(await openWorld())
    })
    afterEach(() => bench.close())
    lifeTests(it)
    endTests(it)
    failureTests(it)
    limitTests(it)
    memoryTests((title, run) => it(title, (bench, skip) => run(bench, skip)))
    fileTests((title, run) => it(title, (bench) => run(bench)))
    networkTests((title, run) => it(title, (bench) => run(networkOf(bench))))
    volumeTests((title, run) => it(title, (bench, skip) => run(bench, skip)))
  })
}

type It = (title: DriverTest, run: (bench: Bench, skip: Skip) => Promise<void>) => void

function lifeTests(it: It): void {
  it('a started sandbox runs programs', async (bench) => {
    const plan = await bench.world.plan()
    const stages = await bench.driver.start(plan)
    expect(stages.every((stage) => stage.ms >= 0)).toBe(true)
    expect(await bench.echo(await bench.connect(plan.id), 'hello')).toBe('hello\n')
  })

  it('starts at the same time do not disturb one another', async (bench) => {
    const plans = await Promise.all(Array.from({ length: 5 }, () => bench.world.plan()))
    await Promise.all(plans.map((plan) => bench.driver.start(plan)))
    const answers = plans.map(async ({ id }) => bench.echo(await bench.connect(id), id))
    expect(await Promise.all(answers)).toEqual(plans.map(({ id }) => `${id}\n`))
    await Promise.all(plans.map(({ id }) => bench.driver.stop(id)))
    expect(await bench.driver.list()).toEqual([])
  })

  it('a new connection replaces the old one', async (bench) => {
    const plan = await bench.start()
    const first = await bench.connect(plan.id)
    const second = await bench.connect(plan.id)
    await first.closed
    expect(second.nonce).toBe(first.nonce)
    expect(await bench.echo(second, 'again')).toBe('again\n')
  })

  it('list tells what runs', async (bench) => {
    expect(await bench.driver.list()).toEqual([])
    const plan = await bench.start()
    expect(await bench.driver.list()).toEqual([{ id: plan.id, running: true, frozen: false }])
    await bench.driver.stop(plan.id)
    expect(await bench.driver.list()).toEqual([])
  })

  it('a restarted server finds its sandboxes, their output and their exit codes', async (bench) => {
    const plan = await bench.start()
    const before = await bench.connect(plan.id)
    const ended = await bench.run(before, 'held', ['echo', 'kept'])
    await ended.exited
    await bench.restart()
    expect(await bench.driver.list()).toEqual([{ id: plan.id, running: true, frozen: false }])
    const after = await bench.connect(plan.id)
    expect([after.nonce, after.held]).toEqual([before.nonce, ['held']])
    const output: string[] = []
    const attached = await after.attach('held', 0, {
      write: (_offset, _stream, data) => void output.push(String(Buffer.from(data))),
    })
    expect(await attached.exited).toMatchObject({ code: 0 })
    expect([await attached.outputClosed, output.join('')]).toEqual([5, 'kept\n'])
  })

  it('closing the driver leaves sandboxes running', async (bench) => {
    const plan = await bench.start()
    await bench.restart()
    expect(await bench.echo(await bench.connect(plan.id), 'still here')).toBe('still here\n')
  })
}

function endTests(it: It): void {
  it('stop ends every process and leaves nothing', async (bench) => {
    const plan = await bench.start()
    const guest = await bench.connect(plan.id)
    const running = await bench.run(guest, 'long', ['sleep', '1000'])
    await bench.driver.stop(plan.id)
    await guest.closed
    await expect(running.exited).rejects.toMatchObject({ code: 'agent_lost' })
    expect(await bench.world.leftovers(plan.id)).toEqual([])
  })

  it('stop ends what an earlier server started', async (bench) => {
    const plan = await bench.start()
    await bench.run(await bench.connect(plan.id), 'long', ['sleep', '1000'])
    await bench.restart()
    await bench.driver.stop(plan.id)
    expect(await bench.driver.list()).toEqual([])
    expect(await bench.world.leftovers(plan.id)).toEqual([])
  })

  it('stop is idempotent and ignores unknown ids', async (bench) => {
    const plan = await bench.start()
    await Promise.all([bench.driver.stop(plan.id), bench.driver.stop(plan.id)])
    await bench.driver.stop(plan.id)
    await bench.driver.stop('sbx_that_never_was')
    expect(await bench.driver.list()).toEqual([])
  })

  it('the death of the agent is told and fails what waits', async (bench) => {
    const plan = await bench.start()
    const told = bench.endOf(plan.id)
    const guest = await bench.connect(plan.id)
    const running = await bench.run(guest, 'long', ['sleep', '1000'])
    await bench.world.killAgent(plan.id)
    await expect(running.exited).rejects.toMatchObject({ code: 'agent_lost' })
    await guest.closed
    expect((await told).id).toBe(plan.id)
    await bench.expectEnded(plan.id)
  })

  it('the death of an agent of an earlier server is told', async (bench) => {
    const plan = await bench.start()
    await bench.restart()
    const told = bench.endOf(plan.id)
    await bench.driver.list()
    await bench.world.killAgent(plan.id)
    expect((await told).id).toBe(plan.id)
    await bench.expectEnded(plan.id)
  })
}

function failureTests(it: It): void {
  it('a start that fails leaves nothing', async (bench) => {
    const plan = await bench.world.plan()
    const broken = bench.world.breakPlan?.(plan)
    if (broken === undefined)
      throw new Error('This world has no plan that fails: skip the test with that reason')
    const error = await bench.driver.start(broken).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(SandboxError)
    expect(await bench.driver.list()).toEqual([])
    expect(await bench.world.leftovers(plan.id)).toEqual([])
  })

  it('an aborted start leaves nothing', async (bench) => {
    const already = await bench.world.plan()
    await expect(bench.driver.start(already, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
    expect(await bench.world.leftovers(already.id)).toEqual([])
    for (const turns of [0, 1, 2, 5, 20]) {
      const plan = await bench.world.plan()
      const abort = new AbortController()
      const started = bench.driver.start(plan, abort.signal).then(
        () => true,
        () => false,
      )
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate)
      abort.abort()
      // A start that was quicker than the abort has succeeded, and is a sandbox like any other.
      if (await started) await bench.driver.stop(plan.id)
      await bench.driver.stop('sbx_to_wait_for_nothing')
      await bench.settled(plan.id)
    }
  })

  it('connecting to a sandbox that does not run is agent_lost', async (bench) => {
    await expect(bench.driver.connect('sbx_that_never_was')).rejects.toMatchObject({ code: 'agent_lost' })
    const plan = await bench.start()
    await bench.driver.stop(plan.id)
    await expect(bench.driver.connect(plan.id)).rejects.toMatchObject({ code: 'agent_lost' })
  })
}

/** A bench as the network's tests see it. */
function networkOf(bench: Bench): NetworkBench {
  const { reachable } = bench.world
  if (reachable === undefined) throw new Error('This world has no network: skip the test with that reason')
  return {
    get hand() {
      return bench.driver.network!
    },
    reachable,
    start: async () => (await bench.start()).id,
    exec: async (id, argv) => {
      const guest = await bench.connect(id)
      const execution = await bench.run(guest, `exec_${++executions}`, argv)
      const { code } = (await execution.exited) as { code?: number }
      execution.forget()
      return code
    },
    stop: (id) => bench.driver.stop(id),
    restart: () => bench.restart(),
  }
}

let executions = 0

/** Programs of these tests need a shell; a driver that enforces no limits is not asked for them. */
function limitTests(it: It): void {
  it('memory is limited and the kill is counted', async (bench) => {
    if (!bench.driver.limits.includes('memoryBytes')) return
    const plan = await bench.world.plan()
    await bench.driver.start({ ...plan, limits: { ...plan.limits, memoryBytes: 64 << 20 } })
    const guest = await bench.connect(plan.id)
    const eater = await bench.run(guest, 'eater', [
      'sh',
      '-c',
      'x=$(head -c 300000000 /dev/zero | tr "\\0" x); echo "$x" | wc -c',
    ])
    await eater.exited
    expect((await bench.driver.usage?.(plan.id))?.oomKills).toBeGreaterThan(0)
    expect(await bench.echo(guest, 'alive')).toBe('alive\n')
  })

  it('processes are limited', async (bench) => {
    if (!bench.driver.limits.includes('pids')) return
    const plan = await bench.world.plan()
    await bench.driver.start({ ...plan, limits: { ...plan.limits, pids: 20 } })
    const guest = await bench.connect(plan.id)
    const bomb = await bench.run(guest, 'bomb', [
      'sh',
      '-c',
      'for i in $(seq 100); do sleep 1000 & done; wait',
    ])
    expect(await bomb.exited).not.toMatchObject({ code: 0 })
    expect((await bench.driver.usage?.(plan.id))?.pids).toBeLessThanOrEqual(20)
  })
}

/** Perl is in every Debian. */
const echoServer = (port: number): string[] => [
  'perl',
  '-MIO::Socket::INET',
  '-e',
  `$| = 1; $SIG{CHLD} = 'IGNORE';
   my $door = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => ${port}, Listen => 5, ReuseAddr => 1) or die;
   print "listening\n";
   while (my $one = $door->accept) {
     next if fork;
     while (sysread $one, my $data, 65536) { syswrite $one, $data }
     exit;
   }`,
]

/** What the tests have in common. */
class Bench {
  readonly world: World
  driver: ManagedDriver
  /** The connections of this test, each with its sandbox. */
  readonly #guests = new Map<Guest, string>()

  private constructor(world: World) {
    this.world = world
    this.driver = new ManagedDriver(world.driver())
  }

  static async open(world: World): Promise<Bench> {
    const bench = new Bench(world)
    await bench.driver.open()
    return bench
  }

  async close(): Promise<void> {
    for (const guest of this.#guests.keys()) guest.close()
    for (const { id } of await this.driver.list()) await this.driver.stop(id)
    await this.driver.close()
    await this.world.close()
  }

  /** The old driver goes and a new one comes, as when the server restarts. */
  async restart(): Promise<void> {
    for (const guest of this.#guests.keys()) guest.close()
    this.#guests.clear()
    await this.driver.close()
    this.driver = new ManagedDriver(this.world.driver())
    await this.driver.open()
  }

  async start(): Promise<SandboxPlan> {
    const plan = await this.world.plan()
    await this.driver.start(plan)
    return plan
  }

  async connect(id: string): Promise<Guest> {
    const guest = await connectGuest(await this.driver.connect(id), { sandbox: id })
    this.#guests.set(guest, id)
    return guest
  }

  get scratch(): string {
    return this.world.scratch ?? '/tmp'
  }

  leftovers(id: string): Promise<string[]> {
    return this.world.leftovers(id)
  }

  /** A connection to a fresh sandbox. */
  async guest(): Promise<Guest> {
    return this.connect((await this.start()).id)
  }

  async reconnect(guest: Guest): Promise<Guest> {
    const id = this.#guests.get(guest) as string
    guest.close()
    return this.connect(id)
  }

  async listen(guest: Guest, port: number): Promise<void> {
    const listening = Promise.withResolvers<void>()
    const argv = this.world.listener?.(port) ?? echoServer(port)
    const env = { CAISSON_SANDBOX: this.#guests.get(guest) ?? '' }
    const sink = { write: () => listening.resolve() }
    const execution = await guest.start({ id: `listen_${port}`, argv, env, stdin: false }, sink)
    execution.exited.then(() => listening.reject(new Error('the listener ended')), listening.reject)
    await listening.promise
  }

  run(guest: Guest, id: string, argv: string[], output: string[] = []): Promise<GuestExecution> {
    const sink = {
      write: (_offset: number, _stream: string, data: Uint8Array) =>
        void output.push(String(Buffer.from(data))),
    }
    // As the server does it: a driver may know by this entry whose a process is.
    const env = { CAISSON_SANDBOX: this.#guests.get(guest) ?? '' }
    return guest.start({ id, argv, env, stdin: false }, sink)
  }

  async echo(guest: Guest, text: string): Promise<string> {
    const output: string[] = []
    const execution = await this.run(guest, `echo_${text.replaceAll(' ', '_')}`, ['echo', text], output)
    expect(await execution.exited).toMatchObject({ code: 0 })
    await execution.outputClosed
    execution.forget()
    return output.join('')
  }

  endOf(id: string): Promise<Ended> {
    const { promise, resolve } = Promise.withResolvers<Ended>()
    this.driver.onEnded((ended) => {
      if (ended.id === id) resolve(ended)
    })
    return promise
  }

  async expectEnded(id: string): Promise<void> {
    expect((await this.driver.list()).filter((found) => found.id === id && found.running)).toEqual([])
    await this.driver.stop(id)
    expect(await this.world.leftovers(id)).toEqual([])
  }

  /** Waits until nothing is left: an abort is answered at once, while the driver still cleans up. */
  async settled(id: string): Promise<void> {
    const left = async () => [
      ...(await this.driver.list()).filter((found) => found.id === id),
      ...(await this.world.leftovers(id)),
    ]
    while ((await left()).length > 0) await delay(10)
  }
}
