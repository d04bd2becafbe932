import { FrameType, LIMITS } from '@caisson/protocol/frames'
import { afterEach, expect, test, vi } from 'vitest'
import { mustGiveWay, requestCame } from '../give-way.ts'
import { settle, started } from './scripted-agent.test-kit.ts'

const chunk = new Uint8Array(LIMITS.MAX_CHUNK)
/** Until a connection rests, and some more. */
const CHUNKS = 9

afterEach(() => {
  vi.restoreAllMocks()
})

/** How often a connection rests while its agent sends. */
async function restsOf(whileSending: () => void): Promise<number> {
  let bytes = 0
  const { agent, stream } = await started({
    write: (_offset, _stream, data) => {
      bytes += data.length
    },
  })
  const pauses = vi.spyOn(agent.host, 'pause')
  for (let i = 0; i < CHUNKS; i++) {
    whileSending()
    agent.bulk(FrameType.OUTPUT, stream, i * chunk.length, chunk)
    await vi.waitFor(() => expect(bytes).toBe((i + 1) * chunk.length))
    await settle()
  }
  return pauses.mock.calls.length
}

test('who moves much rests while requests come, and loses nothing by it', async () => {
  // The request stays young however slow this machine is.
  vi.spyOn(performance, 'now').mockReturnValue(0)
  expect(await restsOf(requestCame)).toBe(Math.floor((CHUNKS * chunk.length) / (256 * 1024)))
})

test('nobody rests for nobody', async () => {
  await vi.waitFor(() => expect(mustGiveWay()).toBe(false))
  expect(await restsOf(() => {})).toBe(0)
})
