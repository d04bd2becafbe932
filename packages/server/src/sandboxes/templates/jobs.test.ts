import { pino } from 'pino'
import { expect, test } from 'vitest'
import type { Context } from '../context.ts'
import { Cancelled, cancelJob, cancelJobsOf, enqueue } from './jobs.ts'

const log = pino({ level: 'silent' })
const contextOf = () => ({ log }) as unknown as Context

/** Starts builds whose work ends when it is told to, and notes how it ended. */
function harness() {
  const context = contextOf()
  const begun: string[] = []
  const ended: string[] = []
  const finish = new Map<string, () => void>()
  const start = (id: string, templateId = 'tpl_1', prepare = async () => {}) =>
    enqueue(context, { id, templateId }, prepare, async (_, signal) => {
      if (signal.aborted) return void ended.push(`${id}: ${signal.reason.message}`)
      begun.push(id)
      await new Promise<void>((resolve) => {
        finish.set(id, resolve)
        signal.addEventListener('abort', () => resolve())
      })
      ended.push(signal.aborted ? `${id}: ${signal.reason.message}` : id)
    })
  const settled = () => new Promise((resolve) => setImmediate(resolve))
  return { context, begun, ended, finish, start, settled }
}

test('two builds are at work at a time, the others in their order', async () => {
  const { begun, ended, finish, start, settled } = harness()
  for (const id of ['a', 'b', 'c', 'd']) await start(id)
  await settled()
  expect(begun).toEqual(['a', 'b'])
  finish.get('b')!()
  await settled()
  expect(begun).toEqual(['a', 'b', 'c'])
  for (const id of ['a', 'c']) finish.get(id)!()
  await settled()
  finish.get('d')!()
  await settled()
  expect(ended).toEqual(['b', 'a', 'c', 'd'])
  await start('e')
  await settled()
  expect(begun.at(-1)).toBe('e')
})

test('one that waits is ended at once, without a place, and takes none with it', async () => {
  const { context, begun, ended, finish, start, settled } = harness()
  for (const id of ['a', 'b', 'c', 'd']) await start(id)
  expect(await cancelJob(context, 'c')).toBe(true)
  expect(ended).toEqual([`c: ${new Cancelled().message}`])
  expect(await cancelJob(context, 'a')).toBe(true)
  await settled()
  expect(begun).toEqual(['a', 'b', 'd'])
  expect(await cancelJob(context, 'a')).toBe(false)
  for (const id of ['b', 'd']) finish.get(id)!()
})

test('all of one template are ended, and no others', async () => {
  const { context, ended, start } = harness()
  await start('a', 'tpl_1')
  await start('b', 'tpl_2')
  await start('c', 'tpl_1')
  await cancelJobsOf(context, 'tpl_1')
  expect(ended.map((text) => text[0]).sort()).toEqual(['a', 'c'])
})

test('a build is started once, and one that is refused leaves nothing', async () => {
  const { begun, start, settled } = harness()
  const refused = start('a', 'tpl_1', async () => {
    throw new Error('no')
  })
  await expect(refused).rejects.toThrow('no')
  const [first, second] = await Promise.allSettled([start('a'), start('a')])
  expect(first.status).toBe('fulfilled')
  expect(second).toMatchObject({ status: 'rejected', reason: { code: 'build_state' } })
  await settled()
  expect(begun).toEqual(['a'])
})

test('there are so many, and not more', async () => {
  const { start } = harness()
  for (let count = 0; count < 102; count++) await start(`b${count}`)
  await expect(start('one too many')).rejects.toMatchObject({ code: 'too_many' })
})
