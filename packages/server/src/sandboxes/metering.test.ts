import { expect, test } from 'vitest'
import { Meter } from './metering.ts'

const usage = (cpuUsec: number, memoryBytes = 0) => ({ cpuUsec, memoryBytes, pids: 1, oomKills: 0 })

test('only what is new is told', () => {
  const meter = new Meter({ executions: 0, cpuUsec: 0 }, 0)
  expect(meter.advance(usage(500, 100), 2, 10_000)).toEqual({
    executions: 2,
    cpuUsec: 500,
    memoryByteSec: 1000,
  })
  expect(meter.advance(usage(500, 300), 2, 11_000)).toEqual({ executions: 0, cpuUsec: 0, memoryByteSec: 300 })
})

test('what an earlier server has stored is not counted again', () => {
  const meter = new Meter({ executions: 3, cpuUsec: 700 }, 0)
  expect(meter.advance(usage(900), 4, 0)).toMatchObject({ executions: 1, cpuUsec: 200 })
})

test('a counter that is gone or begins anew takes nothing back', () => {
  const meter = new Meter({ executions: 3, cpuUsec: 700 }, 0)
  expect(meter.advance(null, 3, 5000)).toEqual({ executions: 0, cpuUsec: 0, memoryByteSec: 0 })
  expect(meter.advance(usage(10), 3, 6000)).toMatchObject({ cpuUsec: 0 })
  expect(meter.advance(usage(750), 3, 6000)).toMatchObject({ cpuUsec: 50 })
})

test('what could not be stored comes again', () => {
  const meter = new Meter({ executions: 0, cpuUsec: 0 }, 0)
  meter.takeBack(meter.advance(usage(500, 100), 1, 10_000))
  expect(meter.advance(usage(600, 100), 1, 20_000)).toEqual({
    executions: 1,
    cpuUsec: 600,
    memoryByteSec: 2000,
  })
})

test('a clock that is set back costs nobody memory', () => {
  const meter = new Meter({ executions: 0, cpuUsec: 0 }, 10_000)
  expect(meter.advance(usage(0, 100), 0, 5000)).toMatchObject({ memoryByteSec: 0 })
})
