import { describe, expect, test } from 'vitest'
import { fields, parseBulk } from '../../packages/protocol/src/frame-codec.ts'
import { Field, FrameType } from '../../packages/protocol/src/frames.ts'
import { Agent, BUILDS, type Client, collect, isRoot } from './harness.ts'

const tty = { cols: 101, rows: 37 }

/** Reads the terminal until the text has appeared. */
async function see(client: Client, stream: number, text: string, from = 0): Promise<number> {
  let seen = ''
  let offset = from
  while (!seen.includes(text)) {
    const frame = await client.next(stream)
    if (frame.type === FrameType.ACK) continue
    if (frame.type !== FrameType.OUTPUT) throw new Error(`Frame type ${frame.type} after: ${seen}`)
    const { bytes } = parseBulk(frame.payload)
    seen += Buffer.from(bytes).toString()
    offset += bytes.length
    client.ack(stream, offset)
  }
  return offset
}

describe.each(BUILDS)('terminals ($name)', ({ binary }) => {
  const begin = async (agent: Agent, argv: string[], user?: string) => {
    const client = await agent.connect()
    await client.expect(0, FrameType.HELLO)
    const { stream } = client.start({ argv, tty, cwd: '/', ...(user !== undefined && { user }) })
    await client.expect(stream, FrameType.STARTED)
    return { client, stream }
  }

  test('have the size that was asked for, and change it', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream } = await begin(agent, ['sh', '-c', 'stty size; read x; stty size'])
    const offset = await see(client, stream, '37 101')
    client.send(FrameType.RESIZE, stream, fields().u64(Field.TTY_COLS, 80).u64(Field.TTY_ROWS, 24).encode())
    client.bulk(FrameType.STDIN, stream, 0, Buffer.from('\n'))
    await see(client, stream, '24 80', offset)
  })

  test('tell a program that they were resized', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream } = await begin(agent, [
      'python3',
      '-c',
      `import signal, os
signal.signal(signal.SIGWINCH, lambda *_: os.write(1, b'resized %d %d' % os.get_terminal_size()))
os.write(1, b'ready')
while True: signal.pause()`,
    ])
    const offset = await see(client, stream, 'ready')
    client.send(FrameType.RESIZE, stream, fields().u64(Field.TTY_COLS, 9).u64(Field.TTY_ROWS, 8).encode())
    await see(client, stream, 'resized 9 8', offset)
  })

  test('echo, and end on the end of input', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream } = await begin(agent, ['cat'])
    client.bulk(FrameType.STDIN, stream, 0, Buffer.from('hallo\nunfinished'))
    const offset = await see(client, stream, 'hallo\r\nunfinished')
    client.send(FrameType.STDIN_CLOSE, stream)
    const result = await collect(client, stream, offset)
    expect(result.exitCode).toBe(0)
    expect(result.stdout.toString()).toContain('unfinished')
  })

  test('turn Ctrl-C into a signal to the program', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream } = await begin(agent, ['sh', '-c', 'echo ready; exec sleep 1000'])
    const offset = await see(client, stream, 'ready')
    client.bulk(FrameType.STDIN, stream, 0, Buffer.from('\x03'))
    expect((await collect(client, stream, offset)).signal).toBe(2)
  })

  test('control their session, and belong to their user', async () => {
    await using agent = await Agent.start(binary)
    const { client, stream } = await begin(
      agent,
      ['sh', '-c', 'echo via-tty >/dev/tty; stat -c %u $(tty); echo again >$(tty)'],
      isRoot ? 'nobody' : undefined,
    )
    const text = (await collect(client, stream)).output.toString()
    expect(text).toBe(`via-tty\r\n${isRoot ? 65534 : process.getuid!()}\r\nagain\r\n`)
  })
})
