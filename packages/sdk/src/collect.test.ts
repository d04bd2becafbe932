import { describe, expect, test } from 'vitest'
import { Collector } from './collect.ts'

const chunk = (stream: 'stdout' | 'stderr', text: string) => ({ stream, offset: 0, data: Buffer.from(text) })
const texts = (collector: Collector) =>
  [undefined, 'stdout' as const, 'stderr' as const].map((s) => Buffer.from(collector.bytes(s)).toString())

describe('collected output', () => {
  test('is both streams in order, and each apart', () => {
    const collector = new Collector(1000)
    collector.add(chunk('stderr', 'a'))
    collector.add(chunk('stdout', 'bc'))
    collector.add(chunk('stdout', 'd'))
    collector.add(chunk('stderr', 'e'))
    expect(texts(collector)).toEqual(['abcde', 'bcd', 'ae'])
    expect(collector.truncated).toBe(false)
  })

  test('is empty without output', () => {
    expect(texts(new Collector(10))).toEqual(['', '', ''])
  })

  test('survives sizes on either side of its blocks', () => {
    const collector = new Collector(20_000_000)
    const pieces = [1, 4095, 4096, 4097, 70_000, 1_048_577, 3].map((size, i) => String(i).repeat(size))
    for (const piece of pieces) collector.add(chunk('stdout', piece))
    expect(Buffer.from(collector.bytes()).equals(Buffer.from(pieces.join('')))).toBe(true)
  })

  test('stops at its limit, says so, and takes nothing after a gap', () => {
    const collector = new Collector(4)
    collector.add(chunk('stdout', 'abcdef'))
    collector.add(chunk('stdout', 'g'))
    expect(texts(collector)[0]).toBe('abcd')
    expect(collector.truncated).toBe(true)
  })

  test('goes on after what the server does not keep, and says so', () => {
    const collector = new Collector(100)
    collector.add(chunk('stdout', 'ab'))
    collector.gap()
    collector.add(chunk('stdout', 'cd'))
    expect(texts(collector)[0]).toBe('abcd')
    expect(collector.truncated).toBe(true)
  })

  test('counts changes between the streams, which cost memory too', () => {
    const collector = new Collector(1000)
    for (let i = 0; i < 1000; i++) collector.add(chunk(i % 2 === 0 ? 'stdout' : 'stderr', 'x'))
    expect(collector.truncated).toBe(true)
    expect(collector.bytes().length).toBeLessThan(200)
  })
})
