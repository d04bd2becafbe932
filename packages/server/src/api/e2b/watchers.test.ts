import { SandboxError } from '@caisson/protocol/errors'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { type WatchEvent, Watchers } from './watchers.ts'

/** Events that a test sends, one by one. */
function source() {
  const waiting: (WatchEvent | Error)[] = []
  let wake = () => {}
  let signal: AbortSignal | undefined
  return {
    get stopped() {
      return signal?.aborted === true
    },
    async send(...events: (WatchEvent | Error)[]) {
      waiting.push(...events)
      wake()
      // Followed in the background.
      for (let turn = 0; turn < 10 + 3 * events.length; turn++) await Promise.resolve()
    },
    start: async (given: AbortSignal) => {
      signal = given
      return (async function* () {
        for (;;) {
          const next = waiting.shift()
          if (next instanceof Error) throw next
          if (next !== undefined) yield next
          else
            await new Promise<void>((resolve) => {
              wake = resolve
            })
        }
      })()
    },
  }
}

const event = (name: string): WatchEvent => ({ name, type: 'EVENT_TYPE_WRITE' })

beforeEach(() => void vi.useFakeTimers())
afterEach(() => void vi.useRealTimers())

test('gives every event once, to the sandbox that it is of', async () => {
  const watchers = new Watchers()
  const { start, send } = source()
  const id = await watchers.create('a', start)
  await send(event('1'), event('2'))
  expect(() => watchers.take('b', id)).toThrow(expect.objectContaining({ code: 'not_found' }))
  expect(watchers.take('a', id).map(({ name }) => name)).toEqual(['1', '2'])
  expect(watchers.take('a', id)).toEqual([])
})

test('tells how it ended, behind the last events, and is gone then', async () => {
  const watchers = new Watchers()
  const { start, send } = source()
  const id = await watchers.create('a', start)
  await send(event('1'), new Error('broken'))
  expect(watchers.take('a', id)).toHaveLength(1)
  expect(() => watchers.take('a', id)).toThrow('broken')
  expect(() => watchers.take('a', id)).toThrow(expect.objectContaining({ code: 'not_found' }))
})

test('goes with its sandbox', async () => {
  const watchers = new Watchers()
  const { start, send } = source()
  const id = await watchers.create('a', start)
  await send(event('1'), new SandboxError('sandbox_not_found', { sandbox: 'a' }))
  expect(() => watchers.take('a', id)).toThrow(expect.objectContaining({ code: 'not_found' }))
})

test('keeps no more than half a million characters', async () => {
  const watchers = new Watchers()
  const events = source()
  const id = await watchers.create('a', events.start)
  await events.send(...Array.from({ length: 200 }, () => event('x'.repeat(4000))))
  expect(events.stopped).toBe(true)
  const kept = watchers.take('a', id)
  expect(JSON.stringify(kept).length).toBeLessThan(530_000)
  expect(kept.length).toBeGreaterThan(100)
  expect(() => watchers.take('a', id)).toThrow(expect.objectContaining({ code: 'data_loss' }))
})

test('forgets who does not ask', async () => {
  const watchers = new Watchers()
  const events = source()
  const other = source()
  const id = await watchers.create('a', events.start)
  const kept = await watchers.create('a', other.start)
  for (let minute = 0; minute < 12; minute++) {
    vi.advanceTimersByTime(60_000)
    watchers.take('a', kept)
  }
  expect(events.stopped).toBe(true)
  expect(other.stopped).toBe(false)
  expect(() => watchers.take('a', id)).toThrow(expect.objectContaining({ code: 'not_found' }))
  watchers.remove('a', kept)
  expect(other.stopped).toBe(true)
  expect(vi.getTimerCount()).toBe(0)
})

test('one that does not start leaves nothing', async () => {
  const watchers = new Watchers()
  const fails = async () => {
    throw new Error('no directory')
  }
  for (let i = 0; i < 100; i++) await expect(watchers.create('a', fails)).rejects.toThrow('no directory')
  expect(vi.getTimerCount()).toBe(0)
})
