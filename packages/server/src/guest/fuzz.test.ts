import { fields } from '@caisson/protocol/frame-codec'
import { Field, FrameType } from '@caisson/protocol/frames'
import { expect, test } from 'vitest'
import type { Guest } from './guest.ts'
import { collect, greeted, type ScriptedAgent, SILENT, settle } from './scripted-agent.test-kit.ts'

const SEEDS = 2000
const FRAMES = 40
const TYPES = Object.values(FrameType)
const { OK, STARTED, ENTRY, END, EVENT, ERROR, DATA, OUTPUT, ACK } = FrameType
const LIKELY = [OK, OK, OK, STARTED, ENTRY, END, EVENT, ERROR]
const TAGS = Object.values(Field)
const NAMES = ['', 'a', 'a/b', '..', '/', '\0', 'x'.repeat(5000)]
const NUMBERS = [0, 1, 2, 5, 9, 0o040000, 0o100000, 0o100644, 2 ** 31, 2 ** 53 - 1]

/** A generator with a seed, so that a failure can be repeated. */
function random(seed: number): <T>(choices: readonly T[]) => T {
  let state = seed
  return (choices) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return choices[Math.floor((state / 2 ** 32) * choices.length)] as never
  }
}

/** One request of each kind, followed to its end. */
function everything(guest: Guest): Promise<unknown>[] {
  const { files } = guest
  const reading = async () => collect((await files.read('/f', {})).data)
  const tree = async () => {
    const { entries } = await files.readTree('/d', { content: true })
    for await (const { data } of entries) if (data !== null) await collect(data)
  }
  const watching = async () => collect(await files.watch('/d', {}))
  const dialling = async () => {
    const socket = await guest.dial(80)
    socket.write('hello')
    await collect(socket)
  }
  const source = [{ path: 'f', type: 'file', size: 3, data: Buffer.from('abc') }] as const
  const running = async () => {
    const execution = await guest.start({ id: 'e', argv: ['x'], env: {}, stdin: true }, SILENT)
    await Promise.all([execution.exited, execution.outputClosed])
  }
  return [
    ...[reading(), tree(), watching(), dialling(), running(), files.stat('/', { attributes: true })],
    files.list('/', { attributes: true }),
    files.setAttributes('/f', { a: '1', b: null }, {}),
    files.write('/f', Buffer.from('abc'), {}),
    files.writePart('/f', Buffer.from('abc'), { resume: 'r', offset: 0, size: 3 }),
    files.writeTree('/d', source, {}),
    files.mkdir('/d', {}),
  ]
}

function sendAnything(agent: ScriptedAgent, streams: number, pick: ReturnType<typeof random>): void {
  const stream = 1 + pick(Array.from({ length: streams }, (_, index) => index))
  const type = pick(pick([LIKELY, LIKELY, LIKELY, TYPES]))
  if (pick([true, false, false])) {
    agent.bulk(
      pick([DATA, DATA, OUTPUT, ACK, type]),
      stream,
      pick([0, 0, 0, 3, 100, 2 ** 40]),
      pick(['', 'a', 'abc']),
    )
    return
  }
  // Mostly what is expected, so that it gets somewhere.
  const payload = fields()
    .u64(Field.FILE_TYPE, pick([0o040000, 0o100000]))
    .u64(Field.SIZE, pick([0, 3]))
    .u64(Field.MODE, 0o644)
    .u64(Field.UID, 0)
    .u64(Field.GID, 0)
    .u64(Field.PID, 7)
    .string(Field.NAME, 'name')
  for (let count = pick([0, 0, 1, 3]); count > 0; count--)
    if (pick([true, false])) payload.u64(pick(TAGS), pick(NUMBERS))
    else payload.string(pick(TAGS), pick(NAMES))
  agent.send(type, stream, payload)
}

test('whatever an agent says, every request ends and nothing else breaks', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const pick = random(seed)
    const { agent, guest } = await greeted()
    const requests = everything(guest)
    const ended = Promise.allSettled(requests)
    await settle()
    for (let frame = 0; frame < FRAMES && !agent.host.destroyed; frame++) {
      sendAnything(agent, requests.length, pick)
      await new Promise(setImmediate)
    }
    guest.close()
    for (const one of await ended)
      if (one.status === 'rejected') expect(one.reason, `seed ${seed}`).toHaveProperty('code')
  }
})
