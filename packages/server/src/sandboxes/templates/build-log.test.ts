import { pino } from 'pino'
import { expect, test } from 'vitest'
import { aBuild, aTemplate } from '../../state/fixtures.ts'
import { createMemoryStore } from '../../state/memory/index.ts'
import type { Context } from '../context.ts'
import { BuildLog } from './build-log.ts'

async function open() {
  const store = createMemoryStore()
  const { id: templateId } = await store.templates.findOrInsert(aTemplate())
  const build = aBuild({ templateId })
  await store.builds.insert(build)
  const log = new BuildLog({ store, log: pino({ level: 'silent' }) } as unknown as Context, build.id)
  const read = () => store.builds.readLog(build.id, 0, 100_000)
  return { store, log, read }
}

test('entries have numbers, steps and plain text', async () => {
  const { log, read } = await open()
  log.add('info', 'before')
  log.enter(2)
  log.add('warn', '\u001b[31mred\u001b[0m\u0007 \tünïcode')
  log.enter(null)
  log.add('debug', 'x'.repeat(10_000))
  await log.end('error', 'over')
  expect(
    (await read()).map(({ entry, level, step, message }) => [entry, level, step, message.slice(0, 20)]),
  ).toEqual([
    [0, 'info', null, 'before'],
    [1, 'warn', 2, 'red  \tünïcode'],
    [2, 'debug', null, 'x'.repeat(20)],
    [3, 'error', null, 'over'],
  ])
  expect((await read())[2]?.message.length).toBe(4096)
})

test('what is too much is not kept, but for how it ended', async () => {
  const { log, read } = await open()
  for (let count = 0; count < 50_000; count++) log.add('info', `${count}`)
  await log.end('error', 'it failed')
  const entries = await read()
  expect(entries.length).toBe(20_002)
  expect(entries.slice(-3).map(({ message }) => message)).toEqual([
    '19999',
    'There was more, which is not kept.',
    'it failed',
  ])
  expect(entries.map(({ entry }) => entry)).toEqual(entries.map((_, at) => at))
})

test('a store that fails loses entries and nothing else', async () => {
  const { store, log, read } = await open()
  const write = store.builds.log.bind(store.builds)
  store.builds.log = async () => {
    throw new Error('the disk is full')
  }
  log.add('info', 'lost')
  await log.close()
  store.builds.log = write
  await log.end('info', 'kept')
  expect((await read()).map(({ message }) => message)).toEqual(['kept'])
})
