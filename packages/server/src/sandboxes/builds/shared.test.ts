import { expect, test } from 'vitest'
import type { Context } from '../context.ts'
import { type Progress, share } from './shared.ts'

/** Only who it is counts. */
const newContext = () => ({}) as Context

test('those who want the same at the same time share one build, and each is told of its steps', async () => {
  const context = newContext()
  const done = Promise.withResolvers<number>()
  let begun = 0
  let tell: Progress = () => {}
  const work = (progress: Progress) => {
    begun++
    tell = progress
    return done.promise
  }
  const first: string[] = []
  const late: string[] = []
  const one = share(context, 'key', work, (step) => first.push(step))
  tell('a')
  const other = share(context, 'key', work, (step) => late.push(step))
  tell('b')
  done.resolve(7)
  expect(await Promise.all([one, other])).toEqual([7, 7])
  expect([begun, first, late]).toEqual([1, ['a', 'b'], ['a', 'b']])
  expect(await share(context, 'key', async () => 8)).toBe(8)
})

test('who goes away leaves the build to the others', async () => {
  const context = newContext()
  const done = Promise.withResolvers<number>()
  const stop = new AbortController()
  const gone = share(context, 'key', () => done.promise, undefined, stop.signal)
  const stays = share(context, 'key', () => Promise.reject(new Error('built twice')))
  stop.abort(new Error('no more'))
  await expect(gone).rejects.toThrow('no more')
  done.resolve(1)
  expect(await stays).toBe(1)
})

test('a failure is told to all who wait, and the next one tries again', async () => {
  const context = newContext()
  const fail = () => Promise.reject(new Error('no'))
  const both = await Promise.allSettled([share(context, 'key', fail), share(context, 'key', fail)])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await share(context, 'key', async () => 2)).toBe(2)
})
