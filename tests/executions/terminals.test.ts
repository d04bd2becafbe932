import { type Client, Sandbox } from 'caisson'
import { afterAll, describe, expect } from 'vitest'
import { DRIVER, test } from '../fixture.ts'
import { until, Viewer } from './raw.ts'

let client: Client
let box: Sandbox
test.beforeAll(async ({ server }) => {
  client = server.client()
  box = (await Sandbox.create({ client })).keep()
})
afterAll(() => box?.delete())

const open = async (argv: string[], cols = 80, rows = 24) =>
  (await client.call('startExecution', { id: box.id, argv, tty: { cols, rows } })).id

const endOf = (execution: string) =>
  until('it has ended', async () => (await client.call('getExecution', { execution })).state === 'ended')

/** What a terminal of this size shows after these bytes, by the terminal emulator in the sandbox. */
async function screen(bytes: Buffer, cols: number, rows: number, wanted: string): Promise<string[]> {
  const tmux = 'tmux -L screen -f /tmp/screen.conf'
  await box.files.write('/tmp/screen.conf', 'set -g status off\n')
  await box.files.write('/tmp/screen.bytes', bytes)
  const show = 'stty raw -echo; cat /tmp/screen.bytes; sleep 1000'
  await box.sh(`${tmux} new-session -d -x ${cols} -y ${rows} '${show}'`)
  let text = ''
  await until(`${JSON.stringify(wanted)} is on the screen`, async () => {
    text = (await box.sh(`${tmux} capture-pane -p`)).stdout
    return text.includes(wanted)
  })
  await box.sh(`${tmux} kill-server`)
  return text.split('\n').map((line) => line.trimEnd())
}

// The programs are those of the image.
describe.skipIf(DRIVER !== 'oci')('a terminal is drawn right for everybody who watches:', () => {
  test('vim, over a change of size and a late viewer', async ({ server }) => {
    const lines = Array.from({ length: 100 }, (_, index) => `line ${index + 1} ä€😀`)
    await box.files.write('poem.txt', `${lines.join('\n')}\n`)
    const id = await open(['vim.tiny', '-u', 'NONE', '-N', 'poem.txt'])
    using one = await Viewer.connect(server, id)
    await one.sees('line 23')
    one.type('50Gzt')
    await one.sees('line 72')
    using two = await Viewer.connect(server, id, '?offset=0')
    await two.sees('line 72')
    two.resize(100, 30)
    await one.sees('line 77')
    two.type('iINSERTED \u001b')
    await Promise.all([one.sees('INSERTED'), two.sees('INSERTED')])
    await until('both have seen the same', () => one.bytes.equals(two.bytes))
    const shown = await screen(one.bytes, 100, 30, 'INSERTED line 50')
    expect(shown.slice(0, 29)).toEqual(['INSERTED line 50 ä€😀', ...lines.slice(50, 78)])
    expect((await client.call('getExecution', { execution: id })).terminal).toEqual({ cols: 100, rows: 30 })
    one.type(':wq\r')
    await endOf(id)
    expect((await box.sh('sed -n 50p poem.txt')).stdout).toBe('INSERTED line 50 ä€😀\n')
  })

  test('tmux, left and found again', async ({ server }) => {
    const id = await open(['tmux', 'new-session', '-s', 'main', 'sh'])
    {
      using first = await Viewer.connect(server, id)
      await first.sees('$')
      first.type('echo $((6 * 7))th answer\r')
      await first.sees('42th answer')
      first.resize(120, 40)
      const size = "tmux display -p -t main '#{client_width}x#{client_height}' || tmux list-clients"
      await until('tmux knows its size', async () =>
        (await box.sh(`tmux list-clients; ${size}`)).stdout.includes('120x40'),
      )
    }
    using again = await Viewer.connect(server, id, '?offset=0')
    expect(again.execution.terminal).toEqual({ cols: 120, rows: 40 })
    await again.sees('42th answer')
    expect((await screen(again.bytes, 120, 40, '42th answer')).join('\n')).toContain('42th answer')
    again.type('\u0002d')
    await again.sees('detached')
    await endOf(id)
    await box.sh('tmux kill-server')
  })

  test('top, as long as it runs', async ({ server }) => {
    const id = await open(['top', '-d', '0.2'], 100, 20)
    using viewer = await Viewer.connect(server, id)
    await viewer.sees('load average')
    const first = viewer.bytes.length
    await until('it is drawn again', () => viewer.bytes.length > 2 * first)
    const shown = await screen(viewer.bytes, 100, 20, 'PID USER')
    expect(shown[0]).toMatch(/^top - \d\d:\d\d:\d\d/)
    expect(shown[6]).toContain('PID USER')
    expect(shown.length).toBeLessThanOrEqual(21)
    viewer.type('q')
    await endOf(id)
    expect((await client.call('getExecution', { execution: id })).exitCode).toBe(0)
  })
})

test('a viewer that comes back has the end of what was shown, over the death of the server', async ({
  server,
}) => {
  const id = await open(['sh', '-c', 'seq 1 1000; stty size; read line; stty size; echo "got $line"'])
  {
    using viewer = await Viewer.connect(server, id)
    await viewer.sees('24 80')
    viewer.resize(91, 33)
    await until('the size is known', async () => {
      const { terminal } = await client.call('getExecution', { execution: id })
      return terminal?.cols === 91
    })
  }
  await server.kill9()
  await server.up()
  using viewer = await Viewer.connect(server, id, '?tail=40')
  expect(viewer.execution.terminal).toEqual({ cols: 91, rows: 33 })
  expect(viewer.offset).toBe(viewer.execution.outputBytes - 40)
  await viewer.sees('24 80')
  expect(viewer.bytes.length).toBe(40)
  viewer.type('back\r')
  await viewer.sees('33 91')
  await viewer.sees('got back')
  await endOf(id)
})

test('a terminal that is killed ends for all who watch, and its last size stays', async ({ server }) => {
  const id = await open(['sh', '-c', 'echo ready; cat'])
  using one = await Viewer.connect(server, id)
  using two = await Viewer.connect(server, id)
  await Promise.all([one.sees('ready'), two.sees('ready')])
  await client.call('resizeExecution', { execution: id, cols: 40, rows: 10 })
  await client.call('killExecution', { execution: id })
  expect(await client.call('getExecution', { execution: id })).toMatchObject({
    ending: 'cancelled',
    terminal: { cols: 40, rows: 10 },
  })
  await expect(client.call('resizeExecution', { execution: id, cols: 41, rows: 10 })).rejects.toMatchObject({
    code: 'execution_ended',
  })
})

test('what has no terminal has no size', async () => {
  const { id } = await client.call('startExecution', { id: box.id, argv: ['sleep', '1000'] })
  await expect(client.call('resizeExecution', { execution: id, cols: 1, rows: 1 })).rejects.toMatchObject({
    code: 'not_supported',
  })
  await client.call('killExecution', { execution: id })
})
