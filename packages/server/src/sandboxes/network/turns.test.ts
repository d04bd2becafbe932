import { expect, test } from 'vitest'
import { Turns } from './turns.ts'

test('works of one key follow one another, however they end; others go their own ways', async () => {
  const turns = new Turns()
  const order: string[] = []
  const gate = Promise.withResolvers<void>()
  const first = turns.take('a', async () => {
    order.push('a1 begins')
    await gate.promise
    order.push('a1 ends')
    throw new Error('a1')
  })
  const second = turns.take('a', async () => order.push('a2'))
  await turns.take('b', async () => order.push('b'))
  expect(order).toEqual(['a1 begins', 'b'])
  gate.resolve()
  await expect(first).rejects.toThrow('a1')
  await second
  expect(order).toEqual(['a1 begins', 'b', 'a1 ends', 'a2'])
})
