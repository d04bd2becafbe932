import { PassThrough } from 'node:stream'
import { SandboxError } from '@caisson/protocol/errors'
import { expect, test } from 'vitest'
import type { RootPlan, SandboxPlan } from '../core/plan.ts'
import type { Driver, MemoryHand, NetworkHand } from './driver.ts'
import { ManagedDriver } from './managed.ts'

const plan: SandboxPlan = {
  id: 'sbx_1',
  hostname: 'x',
  idBase: 131_072,
  root: { kind: 'directory', path: 'r' },
  limits: { memoryBytes: 1, cpuMillis: 1, pids: 1 },
}

function driverWith(parts: Partial<Driver>): Driver {
  return {
    ...{ name: 'test', isolation: 'none', defaultUser: null, roots: ['directory'], limits: [] },
    open: async () => {},
    start: async () => [],
    connect: async () => new PassThrough(),
    stop: async () => {},
    list: async () => [],
    onEnded: () => () => {},
    close: async () => {},
    ...parts,
  }
}

test('opens once, and again after a failure', async () => {
  let opened = 0
  const driver = new ManagedDriver(
    driverWith({
      open: async () => {
        if (++opened === 1) throw new Error('no such device')
      },
    }),
  )
  await expect(driver.open()).rejects.toMatchObject({
    code: 'host_not_ready',
    details: { what: 'no such device' },
  })
  await Promise.all([driver.open(), driver.list(), driver.start(plan)])
  expect(opened).toBe(2)
})

test('a sandbox with volumes is refused where the driver has none, and no volumes are none', async () => {
  const started: SandboxPlan[] = []
  const start = async (asked: SandboxPlan) => {
    started.push(asked)
    return []
  }
  const volumes = [{ volume: 'vol_1', path: '/data', readOnly: false }]
  const without = new ManagedDriver(driverWith({ start }))
  await expect(without.start({ ...plan, volumes })).rejects.toMatchObject({ code: 'not_supported' })
  await without.start({ ...plan, volumes: [] })
  await new ManagedDriver(driverWith({ start, volumes: true })).start({ ...plan, volumes })
  expect(started.map((one) => one.volumes?.length)).toEqual([0, 1])
})

test('start and stop of one sandbox never overlap, those of two do', async () => {
  const steps: string[] = []
  const step = async (name: string) => {
    steps.push(`${name} begins`)
    await new Promise(setImmediate)
    steps.push(`${name} ends`)
  }
  const driver = new ManagedDriver(
    driverWith({
      start: async ({ id }) => {
        await step(`start ${id}`)
        return []
      },
      stop: (id) => step(`stop ${id}`),
    }),
  )
  await Promise.all([driver.start(plan), driver.stop('sbx_1'), driver.stop('sbx_1')])
  expect(steps).toEqual(
    ['start', 'stop', 'stop'].flatMap((name) => [`${name} sbx_1 begins`, `${name} sbx_1 ends`]),
  )
  steps.length = 0
  await Promise.all([driver.start(plan), driver.start({ ...plan, id: 'sbx_2' })])
  expect(steps.slice(0, 2)).toEqual(['start sbx_1 begins', 'start sbx_2 begins'])
})

test('a step after one that failed has its turn', async () => {
  const driver = new ManagedDriver(driverWith({ start: () => Promise.reject(new Error('broken')) }))
  const started = driver.start(plan)
  const stopped = driver.stop('sbx_1')
  await expect(started).rejects.toMatchObject({
    code: 'create_failed',
    details: { sandbox: 'sbx_1', reason: 'broken' },
  })
  await stopped
})

test('a start that is too slow fails at its deadline, and what it makes later is stopped before anything else', async () => {
  const slow = Promise.withResolvers<[]>()
  const stopped: string[] = []
  const driver = new ManagedDriver(
    driverWith({ start: () => slow.promise, stop: async (id) => void stopped.push(id) }),
    { deadlines: { start: 5 } },
  )
  await expect(driver.start(plan)).rejects.toMatchObject({
    code: 'create_failed',
    details: { reason: 'it took longer than 5 ms' },
  })
  const stopping = driver.stop('sbx_1')
  await new Promise(setImmediate)
  expect(stopped).toEqual([])
  slow.resolve([])
  await stopping
  expect(stopped).toEqual(['sbx_1', 'sbx_1'])
})

test('an abort is told as one, and a step that was aborted before its turn never begins', async () => {
  let starts = 0
  const driver = new ManagedDriver(
    driverWith({
      start: async () => {
        starts++
        return []
      },
    }),
  )
  await expect(driver.start(plan, AbortSignal.abort())).rejects.toMatchObject({ code: 'aborted' })
  expect(starts).toBe(0)
  await driver.stop('sbx_1')
})

test('a channel that comes too late is closed', async () => {
  const channel = new PassThrough()
  const late = Promise.withResolvers<PassThrough>()
  const driver = new ManagedDriver(driverWith({ connect: () => late.promise }), { deadlines: { connect: 5 } })
  await expect(driver.connect('sbx_1')).rejects.toMatchObject({ code: 'agent_lost' })
  late.resolve(channel)
  await new Promise(setImmediate)
  expect(channel.destroyed).toBe(true)
})

test('a root that the driver does not take is refused', async () => {
  const driver = new ManagedDriver(driverWith({}))
  const root: RootPlan = { kind: 'overlay', lowers: [], upper: 'u', work: 'w' }
  await expect(driver.start({ ...plan, root })).rejects.toMatchObject({ code: 'not_supported' })
})

test('an id that could be a path is refused', async () => {
  const driver = new ManagedDriver(driverWith({}))
  for (const id of ['', '..', 'a/b', 'A', 'a\0', 'x'.repeat(65)])
    await expect(driver.stop(id)).rejects.toBeInstanceOf(SandboxError)
  await driver.stop('sbx_1')
})

test('a network is there exactly when the driver has one, and its steps are bounded and explained', async () => {
  expect(new ManagedDriver(driverWith({})).network).toBeUndefined()
  const hand = {
    open: () => Promise.reject(new Error('no nft')),
    plug: () => new Promise<never>(() => {}),
    traffic: async () => new Map(),
  } as Partial<NetworkHand> as NetworkHand
  const { network } = new ManagedDriver(driverWith({ network: hand }), { deadlines: { plug: 5 } })
  const limits = { uploadBytesPerSecond: null, downloadBytesPerSecond: null, connections: null }
  await expect(network!.open({ permit: [], host: [] })).rejects.toMatchObject({
    code: 'host_not_ready',
    details: { what: 'no nft' },
  })
  await expect(network!.plug('sbx_1', limits)).rejects.toMatchObject({ code: 'internal' })
  await expect(network!.plug('../x', limits)).rejects.toBeInstanceOf(SandboxError)
  expect(await network!.traffic()).toEqual(new Map())
})

test('usage is there exactly when the driver has it', () => {
  expect(new ManagedDriver(driverWith({})).usage).toBeUndefined()
  expect(new ManagedDriver(driverWith({ usage: async () => null })).usage).toBeDefined()
})

test('errors of the driver that are rows pass unchanged, and failures are logged', async () => {
  const warnings: object[] = []
  const error = new SandboxError('host_not_ready', { what: 'x', fix: 'y' })
  const driver = new ManagedDriver(driverWith({ list: () => Promise.reject(error) }), {
    log: { debug: () => {}, warn: (facts) => void warnings.push(facts) },
  })
  await expect(driver.list()).rejects.toBe(error)
  expect(warnings).toMatchObject([{ driver: 'test', step: 'list', err: error }])
})

function handWith(parts: Partial<MemoryHand>): MemoryHand {
  return {
    noDumps: null,
    freeze: async () => {},
    thaw: async () => {},
    dump: async () => ({ bytes: 1, saved: false }),
    removeDump: async () => {},
    listDumps: async () => [],
    ...parts,
  }
}

test('a driver keeps memory when the one beneath does, which is known once it is open', async () => {
  const able = new ManagedDriver(driverWith({ memory: handWith({ noDumps: 'no criu' }) }))
  await able.open()
  expect(able.memory?.noDumps).toBe('no criu')
  const unable = new ManagedDriver(driverWith({}))
  await unable.open()
  expect(unable.memory).toBeUndefined()
})

test('freezing, dumping, thawing and stopping of one sandbox never overlap', async () => {
  const steps: string[] = []
  const step = (name: string) => async () => {
    steps.push(`${name} begins`)
    await new Promise(setImmediate)
    steps.push(`${name} ends`)
    return { bytes: 0, saved: false }
  }
  const memory = handWith({
    freeze: async () => void (await step('freeze')()),
    dump: step('dump'),
    thaw: async () => void (await step('thaw')()),
  })
  const driver = new ManagedDriver(driverWith({ memory, stop: async () => void (await step('stop')()) }))
  await driver.open()
  const hand = driver.memory as MemoryHand
  await Promise.all([hand.freeze('a'), hand.dump('a', 'dmp_1', false), hand.thaw('a'), driver.stop('a')])
  const names = ['freeze', 'dump', 'thaw', 'stop']
  expect(steps).toEqual(names.flatMap((name) => [`${name} begins`, `${name} ends`]))
})

test('a freeze that comes too late is thawed, and a late dump that ended nothing is removed', async () => {
  const late = Promise.withResolvers<void>()
  const undone: string[] = []
  const memory = handWith({
    freeze: () => late.promise,
    dump: async () => {
      await late.promise
      return { bytes: 1, saved: false }
    },
    thaw: async (id) => void undone.push(`thaw ${id}`),
    removeDump: async (dump) => void undone.push(`remove ${dump}`),
  })
  const driver = new ManagedDriver(driverWith({ memory }), { deadlines: { freeze: 5, dump: 5 } })
  await driver.open()
  const failed = [
    driver.memory?.freeze('a'),
    driver.memory?.dump('b', 'dmp_b', false),
    driver.memory?.dump('c', 'dmp_c', true),
  ].map((promise) => expect(promise).rejects.toThrow('it took longer than 5 ms'))
  await Promise.all(failed)
  late.resolve()
  await Promise.all(['a', 'b', 'c'].map((id) => driver.stop(id)))
  expect(undone.sort()).toEqual(['remove dmp_b', 'thaw a'])
})
