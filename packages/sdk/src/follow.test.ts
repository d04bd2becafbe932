import { SandboxError } from '@caisson/protocol/errors'
import type { Execution } from '@caisson/protocol/resources'
import { describe, expect, test, vi } from 'vitest'
import { type Followed, follow, type OpenStream, pause } from './follow.ts'
import type { StreamRecord } from './records.ts'

const execution = { id: 'exe_1' } as Execution
const started = (offset: number): StreamRecord => ({ type: 'started', execution, offset })
const output = (text: string): StreamRecord => ({ type: 'output', stream: 'stdout', data: Buffer.from(text) })
const ended: StreamRecord = { type: 'ended', execution }
const lost = () => new SandboxError('connection_lost', { what: 'a test' })

/** Opens one script after the other, and remembers at which offsets. */
function scripted(...scripts: (StreamRecord | Error)[][]): { open: OpenStream; offsets: number[] } {
  const offsets: number[] = []
  const open: OpenStream = async (_, from) => {
    offsets.push('offset' in from ? from.offset : -from.tail)
    const script = scripts[offsets.length - 1] ?? []
    return (async function* () {
      for (const step of script) {
        if (step instanceof Error) throw step
        yield [step]
      }
    })()
  }
  return { open, offsets }
}

async function read(source: AsyncIterable<Followed[]>): Promise<string> {
  let text = ''
  for await (const batch of source)
    for (const item of batch)
      if (item.type === 'output') text += `${item.chunk.offset}:${item.chunk.data} `
      else text += item.type === 'gap' ? `<gap ${item.offset}>` : `<${item.type}>`
  return text
}

describe('following an execution', () => {
  test('goes on at the last offset after a break, and tells of one start', async () => {
    const { open, offsets } = scripted(
      [started(0), output('abc'), lost()],
      [started(3), output('de'), lost()],
      [started(5), output('f'), ended],
    )
    expect(await read(follow(open, { offset: 0 }))).toBe('<started>0:abc 3:de 5:f <ended>')
    expect(offsets).toEqual([0, 3, 5])
  })

  test('takes a stream without a last record for a break', async () => {
    const { open } = scripted([started(0), output('abc')], [started(3), ended])
    expect(await read(follow(open, { offset: 0 }))).toBe('<started>0:abc <ended>')
  })

  test('waits for a server that says that it is stopping', async () => {
    const stopping = { type: 'error' as const, error: new SandboxError('shutting_down', {}) }
    const { open } = scripted([started(0), output('ab'), stopping], [started(2), ended])
    expect(await read(follow(open, { offset: 0 }))).toBe('<started>0:ab <ended>')
  })

  test('loses nothing that came in one piece with the break', async () => {
    const stopping = { type: 'error' as const, error: new SandboxError('shutting_down', {}) }
    let opened = 0
    const open: OpenStream = async () => {
      const first = opened++ === 0
      return (async function* () {
        yield first ? [started(0), output('ab'), stopping] : [started(2), output('c'), ended]
      })()
    }
    expect(await read(follow(open, { offset: 0 }))).toBe('<started>0:ab 2:c <ended>')
  })

  test('does not start again what may have started', async () => {
    const { open, offsets } = scripted([lost()], [started(0), ended])
    await expect(read(follow(open, { offset: 0 }))).rejects.toMatchObject({ code: 'connection_lost' })
    expect(offsets).toEqual([0])
  })

  test('starts again what may be repeated', async () => {
    const { open } = scripted([lost()], [started(0), ended])
    expect(await read(follow(open, { offset: 0, repeatable: true }))).toBe('<started><ended>')
  })

  test('tells of a gap: at the beginning, on the way, and after a break', async () => {
    const gap: StreamRecord = { type: 'gap', offset: 9 }
    const { open, offsets } = scripted(
      [started(5), output('ab'), gap, output('c'), lost()],
      [started(20), output('d'), ended],
    )
    expect(await read(follow(open, { offset: 2 }))).toBe(
      '<started><gap 5>5:ab <gap 9>9:c <gap 20>20:d <ended>',
    )
    expect(offsets).toEqual([2, 10])
  })

  test('refuses output that it has had', async () => {
    const { open } = scripted([started(0), output('abc'), lost()], [started(2), ended])
    await expect(read(follow(open, { offset: 0 }))).rejects.toThrow(/byte 2 and not at 3/)
  })

  test('begins a tail where the server says, and goes on from there', async () => {
    const { open, offsets } = scripted([lost()], [started(70), output('abc'), lost()], [started(73), ended])
    const reading = follow(open, { execution: 'exe_1', tail: 3 })
    expect(await read(reading)).toBe('<started>70:abc <ended>')
    expect(offsets).toEqual([-3, -3, 73])
  })

  test('passes on what the server says', async () => {
    const gone = new SandboxError('agent_lost', { sandbox: 'sbx_1', reason: 'it does not answer' })
    const { open } = scripted([started(0), { type: 'error', error: gone }])
    await expect(read(follow(open, { offset: 0 }))).rejects.toBe(gone)
  })

  test('gives up when no try brings a byte, also after a stream that lasted', async () => {
    vi.useFakeTimers()
    try {
      let opened = 0
      const open: OpenStream = async () => {
        if (++opened > 1) throw lost()
        return (async function* () {
          yield [started(0), output('abc')]
          await pause(6000)
          throw lost()
        })()
      }
      const reading = read(follow(open, { offset: 0 }))
      const failed = expect(reading).rejects.toMatchObject({ code: 'connection_lost' })
      await vi.advanceTimersByTimeAsync(60_000)
      await failed
      expect(opened).toBe(10)
    } finally {
      vi.useRealTimers()
    }
  })

  test('stops trying when its signal fires', async () => {
    let opened = 0
    const open: OpenStream = async () => {
      opened++
      throw lost()
    }
    const stop = new AbortController()
    const reading = read(follow(open, { execution: 'exe_1', offset: 0 }, stop.signal))
    stop.abort()
    await expect(reading).rejects.toMatchObject({ code: 'aborted' })
    expect(opened).toBe(1)
  })

  test('closes the source when its reader leaves', async () => {
    let closed = false
    const open: OpenStream = async () =>
      (async function* () {
        try {
          for (;;) yield [output('x')]
        } finally {
          closed = true
        }
      })()
    for await (const _ of follow(open, { execution: 'exe_1', offset: 0 })) break
    await new Promise((resolve) => setImmediate(resolve))
    expect(closed).toBe(true)
  })
})
