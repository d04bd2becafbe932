import { Client, Sandbox } from 'caisson'
import type { Sandbox as E2bSandbox } from 'e2b'
import { interleave, timed } from '../interleave.ts'
import type { Outcome, Run, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { summarize } from '../stats.ts'

const OURS = 'our SDK: create, exec true'
const THEIRS = 'e2b: Sandbox.create(), commands.run("true")'
const RUNTIME = 'e2b-base:latest'
const STREAMS = 500
const SANDBOXES = 10

/** E2B's own client beside ours on one server, over the same TCP port with the same key, for the same kind of sandbox. */
export const e2b: Scenario = {
  name: 'e2b',
  title: 'E2B’s unmodified client beside our SDK',
  async run(run): Promise<Outcome> {
    await using stack = new AsyncDisposableStack()
    const server = stack.use(await BenchServer.start(run.workDir, { CAISSON_LISTEN: '127.0.0.1:0' }))
    await server.client.runtimes.build(RUNTIME)
    const { key } = await server.client.call('createKey', { name: 'bench', scopes: ['exec'], format: 'e2b' })
    const { url } = await server.client.call('getServer', {})
    const connection = { apiKey: key, apiUrl: url as string, sandboxUrl: url as string }
    const client = new Client({ url: url as string, apiKey: key })
    stack.defer(() => client.close())
    // Read once, when the client is loaded: a stream is a connection, and its pool is smaller than what is tried here.
    process.env.E2B_ENVD_RPC_CONNECTIONS = String(STREAMS + 100)
    const { Sandbox: Theirs } = await import('e2b')

    const series = await interleave(
      [
        { name: OURS, run: () => ours(client) },
        {
          name: THEIRS,
          run: async () => {
            const { ms, result } = await timed(async () => {
              const sandbox = await Theirs.create('base', { ...connection, allowInternetAccess: false })
              await sandbox.commands.run('true')
              return sandbox
            })
            await result.kill()
            return ms
          },
        },
      ],
      run.quick ? 20 : 100,
      120_000,
    )
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    const streams = run.quick ? 100 : STREAMS
    const create = () => Theirs.create('base', { ...connection, allowInternetAccess: false })
    const missing = streams - (await completed(run, create, streams))
    return {
      series,
      targets: [
        {
          promise: 'e2b’s Sandbox.create() and commands.run("true"), p50 against the same through our SDK',
          value: p50(THEIRS) / p50(OURS),
          limit: 1.5,
          unit: '×',
        },
        {
          promise: `${streams} streams of commands at once through e2b’s client: those that did not deliver`,
          value: missing,
          limit: 0,
          unit: '',
        },
      ],
    }
  },
}

/** The command as that client runs it, so that the difference is the way there and not bash. */
async function ours(client: Client): Promise<number> {
  const { ms, result } = await timed(async () => {
    const sandbox = await Sandbox.create({
      client,
      runtime: RUNTIME,
      allPorts: 'public',
      idleTimeout: 0,
      ttl: '5m',
    })
    const done = await sandbox.exec(['/bin/bash', '-l', '-c', 'true'])
    done.throwIfFailed()
    return sandbox
  })
  await result.delete()
  return ms
}

/** Opens all streams before any command may end, and then lets each say its word. */
async function completed(run: Run, create: () => Promise<E2bSandbox>, streams: number): Promise<number> {
  run.progress(`${streams} streams at once`)
  const sandboxes = await Promise.all(Array.from({ length: SANDBOXES }, create))
  try {
    const running = await Promise.all(
      Array.from({ length: streams }, (_, index) =>
        sandboxes[index % SANDBOXES]!.commands.run(`read word; echo "$word ${index}"`, {
          background: true,
          stdin: true,
          timeoutMs: 0,
        }),
      ),
    )
    await Promise.all(
      running.map((command, index) =>
        sandboxes[index % SANDBOXES]!.commands.sendStdin(command.pid, 'here\n'),
      ),
    )
    const results = await Promise.allSettled(running.map((command) => command.wait()))
    return results.filter(
      (result, index) => result.status === 'fulfilled' && result.value.stdout === `here ${index}\n`,
    ).length
  } finally {
    await Promise.all(sandboxes.map((sandbox) => sandbox.kill()))
  }
}
