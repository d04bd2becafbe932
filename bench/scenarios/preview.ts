import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { interleave, timed } from '../interleave.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { addSample, type Series, summarize } from '../stats.ts'

const PORT = 8000
const PROXY = join(import.meta.dirname, '../proxy-process.ts')

/** A web server, the same inside a sandbox and on the host: `/<MiB>` has so many, `/` two bytes. Prints its port. */
const PROGRAM = `
import http.server, sys
BLOCK = bytes(1 << 20)
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    def do_GET(self):
        mib = int(self.path[1:] or 0)
        self.send_response(200)
        self.send_header("Content-Length", str((mib << 20) or 2))
        self.end_headers()
        if mib == 0: self.wfile.write(b"ok")
        self.wfile.flush()
        for _ in range(mib): self.connection.sendall(BLOCK)
    def log_message(self, *args): pass
server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print(server.server_port, flush=True)
server.serve_forever()
`

/** An exposed port beside a reverse proxy that does nothing else, before the same program. */
export const preview: Scenario = {
  name: 'preview',
  title: 'An exposed port, beside a bare reverse proxy',
  async run(run): Promise<Outcome> {
    await using stack = new AsyncDisposableStack()
    const server = stack.use(await BenchServer.start(run.workDir, { CAISSON_LISTEN: '127.0.0.1:0' }))
    const sandbox = stack.use(
      await Sandbox.create({ client: server.client, ports: [{ port: PORT, access: 'public' }] }),
    )
    await startInside(sandbox)
    const bare = await startOnHost(stack, 'python3', ['-c', PROGRAM, '0'])
    const proxy = await startOnHost(stack, process.execPath, [PROXY, `${bare}`])
    const [exposed] = await sandbox.ports.list()
    const url = new URL(exposed?.url as string)
    const agent = new Agent({ keepAlive: true })
    stack.defer(() => agent.destroy())
    const doors: Record<string, Door> = {
      'an exposed port': { port: Number(url.port), host: url.host },
      'a bare reverse proxy': { port: proxy, host: 'localhost' },
      directly: { port: bare, host: 'localhost' },
    }
    const size = run.quick ? 256 : 1024
    const { series, short } = await download(doors, size, run.quick ? 2 : 5, agent, run.progress)
    const subjects = Object.entries(doors).map(([name, door]) => ({
      name: `a small GET, ${name}`,
      run: async () => (await timed(() => get(door, '/', agent))).ms,
    }))
    const small = await interleave(subjects, run.quick ? 300 : 2000, 60_000)
    const rate = (name: string) => size / (summarize(series[`${size} MiB, ${name}`] ?? []).p50 / 1000)
    const p50 = (name: string) => summarize(small[`a small GET, ${name}`] ?? []).p50
    return {
      series: { ...series, ...small },
      figures: Object.keys(doors).map((name) => ({ name, value: rate(name), unit: 'MiB/s' })),
      targets: [
        {
          promise: 'a download through an exposed port: time against the bare reverse proxy’s, p50',
          value: rate('a bare reverse proxy') / rate('an exposed port'),
          limit: 2,
          unit: '×',
        },
        {
          promise: 'a small GET through an exposed port: time added to a direct one, p50',
          value: p50('an exposed port') - p50('directly'),
          limit: 1,
          unit: 'ms',
        },
        { promise: 'downloads of another size', value: short, limit: 0, unit: '' },
      ],
    }
  },
}

interface Door {
  port: number
  host: string
}

async function download(
  doors: Record<string, Door>,
  size: number,
  rounds: number,
  agent: Agent,
  progress: (text: string) => void,
): Promise<{ series: Series; short: number }> {
  const series: Series = {}
  let short = 0
  for (let i = 0; i < rounds; i++) {
    for (const [name, door] of Object.entries(doors)) {
      progress(`${name}, ${i + 1}`)
      const { ms, result } = await timed(() => get(door, `/${size}`, agent))
      if (result !== size * 2 ** 20) short++
      addSample(series, `${size} MiB, ${name}`, ms)
    }
  }
  return { series, short }
}

/** @returns the number of bytes of the answer */
async function get({ port, host }: Door, path: string, agent: Agent): Promise<number> {
  const outgoing = request({ host: '127.0.0.1', port, path, agent, headers: { host } })
  outgoing.end()
  const [answer] = await once(outgoing, 'response')
  if (answer.statusCode !== 200) throw new Error(`${host} answered ${answer.statusCode}`)
  let bytes = 0
  for await (const data of answer) bytes += data.length
  return bytes
}

/** Resolves when it listens. */
async function startInside(sandbox: Sandbox): Promise<void> {
  const job = await sandbox.jobs.start(['python3', '-c', PROGRAM, `${PORT}`])
  for await (const text of job.logs({ follow: true })) if (text.includes(`${PORT}`)) return
}

/** @returns the port that the program prints */
async function startOnHost(stack: AsyncDisposableStack, program: string, args: string[]): Promise<number> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  stack.defer(() => void child.kill())
  const [data] = (await once(child.stdout as NonNullable<ChildProcess['stdout']>, 'data')) as [Buffer]
  return Number(data)
}
