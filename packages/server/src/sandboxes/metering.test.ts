import { expect, test } from 'vitest'
import { Meter } from './metering.ts'

const usage = (cpuUsec: number, memoryBytes = 0) => ({ cpuUsec, memoryBytes, pids: 1, oomKills: 0 })
const counts = (executions: number, egressBytes = 0) => ({ executions, egressBytes })

test('only what is new is told', () => {
  const meter = new Meter({ executions: 0, cpuUsec: 0, egressBytes: 0 }, 0)
  expect(meter.advance(usage(500, 100), counts(2), 10_000)).toEqual({
    executions: 2,
    cpuUsec: 500,
    memoryByteSec: 1000,
    egressBytes: 0,
  })
  expect(meter.advance(usage(500, 300), counts(2, 9), 11_000)).toEqual({
    executions: 0,
    cpuUsec: 0,
    memoryByteSec: 300,
    egressBytes: 9,
  })
})

test('what an earlier server has stored is not counted again', () => {
  const meter = new Meter({ executions: 3, cpuUsec: 700, egressBytes: 40 }, 0)
  expect(meter.advance(usage(900), counts(4, 50), 0)).toMatchObject({
    executions: 1,
    cpuUsec: 200,
    egressBytes: 10,
  })
})

test('a counter that is gone or begins anew takes nothing back', () => {
  const meter = new Meter({ executions: 3, cpuUsec: 700, egressBytes: 40 }, 0)
  expect(meter.advance(null, counts(3, 7), 5000)).toEqual({
    executions: 0,
    cpuUsec: 0,
    memoryByteSec: 0,
    egressBytes: 0,
  })
  expect(meter.advance(usage(10), counts(3), 6000)).toMatchObject({ cpuUsec: 0 })
  expect(meter.advance(usage(750), counts(3), 6000)).toMatchObject({ cpuUsec: 50 })
})

test('what could not be stored comes again', () => {
  const meter = new Meter({ executions: 0, cpuUsec: 0, egressBytes: 0 }, 0)
  meter.takeBack(meter.advance(usage(500, 100), counts(1, 5), 10_000))
  expect(meter.advance(usage(600, 100), counts(1, 6), 20_000)).toEqual({
    executions: 1,
    cpuUsec: 600,
    memoryByteSec: 2000,
    egressBytes: 6,
  })
})

test('a clock that is set back costs nobody memory', () => {
  const meter = new Meter({ executions: 0, cpuUsec: 0, egressBytes: 0 }, 10_000)
  expect(meter.advance(usage(0, 100), counts(0), 5000)).toMatchObject({ memoryByteSec: 0 })
})
