import { once } from 'node:events'
import { mkdtempSync } from 'node:fs'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { WebSocket } from 'ws'
import { interleave } from '../interleave.ts'
import { startPeer, startProgram } from '../relay.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { digits, summarize } from '../stats.ts'
import { buildProgram } from '../timer.ts'

const OURS = 'a key and its echo, terminal in a sandbox'
const BARE = 'a byte and its echo, bare WebSocket'
const RELAYED = 'a key and its echo, bare relay and terminal'
/** See the protocol's stream.ts: the kinds of a byte to stdin and of bytes from stdout. */
const STDIN = 16
const STDOUT = 1

/** How long a person at a keyboard waits: one byte to a terminal and back, both over a WebSocket on loopback TCP. */
export const keys: Scenario = {
  name: 'keys',
  title: 'Keystroke and echo',
  async run(run): Promise<Outcome> {
    await using server = await BenchServer.start(run.workDir, { CAISSON_LISTEN: '127.0.0.1:0' })
    await using sandbox = await Sandbox.create({ client: server.client })
    const { key } = await server.client.call('createKey', { name: 'bench', scopes: ['exec'] })
    const { url } = await server.client.call('getServer')
    using peers = new DisposableStack()
    const start = async (starting: ReturnType<typeof startPeer>): Promise<string> => {
      const { child, said } = await starting
      peers.defer(() => child.kill())
      return said
    }
    const echo = await start(startPeer(['echo']))
    const back = join(mkdtempSync(join(run.workDir, 't-')), 'back')
    await start(startProgram(buildProgram('terminal', run.workDir), [back]))
    const relay = await start(startPeer(['terminal', back]))
    // The terminal itself echoes; the program only holds it open.
    const shell = await sandbox.start(['sleep', '600'], { tty: { cols: 80, rows: 24 } })
    const path = `/v1/executions/${shell.id}/connect`
    const ours = new WebSocket(`${url?.replace('http', 'ws')}${path}`, 'caisson.v1', {
      headers: { authorization: `Bearer ${key}` },
      perMessageDeflate: false,
    })
    const bare = new WebSocket(`ws://127.0.0.1:${echo}`, { perMessageDeflate: false })
    const relayed = new WebSocket(`ws://127.0.0.1:${relay}`, { perMessageDeflate: false })
    try {
      await Promise.all([ours, bare, relayed].map((ws) => once(ws, 'open')))
      const series = await interleave(
        [
          {
            name: OURS,
            run: () => roundTrip(ours, Buffer.from([STDIN, 0x78]), (data) => data[0] === STDOUT),
          },
          { name: BARE, run: () => roundTrip(bare, Buffer.from([STDIN, 0x78]), () => true) },
          { name: RELAYED, run: () => roundTrip(relayed, Buffer.from('x'), () => true) },
        ],
        run.quick ? 200 : 2000,
        60_000,
      )
      const p50 = (name: string) => summarize(series[name] ?? []).p50
      return {
        series,
        targets: [
          {
            promise: 'keystroke and echo, p50, against a bare WebSocket echo',
            value: p50(OURS) / p50(BARE),
            limit: 2,
            unit: '×',
          },
        ],
        notes: [
          `The relay is a Node process between the WebSocket and a terminal's own process, which do nothing else: it takes ${digits(p50(RELAYED) / p50(BARE))} times as long as the bare echo, and Caisson ${digits(p50(OURS) / p50(RELAYED))} times as long as the relay.`,
        ],
      }
    } finally {
      for (const ws of [ours, bare, relayed]) ws.close()
    }
  },
}

function roundTrip(ws: WebSocket, message: Buffer, isEcho: (data: Buffer) => boolean): Promise<number> {
  return new Promise((resolve) => {
    const since = performance.now()
    const listen = (data: Buffer) => {
      if (!isEcho(data)) return
      ws.off('message', listen)
      resolve(performance.now() - since)
    }
    ws.on('message', listen)
    ws.send(message)
  })
}
