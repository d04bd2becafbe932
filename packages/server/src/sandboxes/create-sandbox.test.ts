import { afterEach, beforeEach, expect, test } from 'vitest'
import type { MemoryDriver } from '../runtime/memory/index.ts'
import { until, World } from './world.test-kit.ts'

let world: World
beforeEach(async () => {
  world = await World.make()
})
afterEach(async () => {
  await world[Symbol.asyncDispose]()
})

/** A driver of which some steps fail, as often as is said. */
function failing(times: Partial<Record<'start' | 'stop' | 'connect', number>>) {
  return (memory: MemoryDriver): MemoryDriver => {
    for (const step of Object.keys(times) as (keyof typeof times)[]) {
      const work = memory[step].bind(memory) as (...args: unknown[]) => Promise<never>
      memory[step] = async (...args: unknown[]) => {
        if (times[step]! > 0) {
          times[step]!--
          throw new Error(`${step} failed`)
        }
        return work(...args)
      }
    }
    return memory
  }
}

test.each(['start', 'connect'] as const)(
  'a failed %s is told, and leaves nothing but a record',
  async (step) => {
    const { useCases, context } = await world.server({ driver: failing({ [step]: 1 }) })
    const create = () => useCases.createSandbox({ name: 'box' }, { idempotencyKey: 'key' })
    await expect(create()).rejects.toMatchObject({
      code: 'create_failed',
      message: expect.stringContaining(step),
    })
    expect(world.host.sandboxes.size).toBe(0)
    expect(await world.layers.list()).toEqual([])
    expect(context.idBases.size).toBe(0)
    // A failure is no result: the same key makes a sandbox now, and the same one afterwards.
    const { sandbox } = await create()
    expect(sandbox.status).toBe('idle')
    expect((await create()).sandbox.id).toBe(sandbox.id)
  },
)

test.each([
  ['is used once it is there', {}],
  ['says how it ended', { connect: 1 }],
])('a sandbox found by its name while it is being created %s', async (_, fails) => {
  const { promise: gate, resolve: open } = Promise.withResolvers<void>()
  const { useCases } = await world.server({
    driver: (memory) => {
      const start = memory.start.bind(memory)
      memory.start = async (plan) => {
        await gate
        return start(plan)
      }
      return failing(fails)(memory)
    },
  })
  const created = useCases.createSandbox({ name: 'box' }).catch((error) => error.code)
  await until(async () => (await useCases.getSandbox('box').catch(() => null))?.status === 'creating')
  const { id } = await useCases.getSandbox('box')
  const used = useCases.startExecution(id, { argv: ['true'] }).then(
    ({ sandboxId }) => sandboxId,
    (error) => error.code,
  )
  open()
  const failed = 'connect' in fails
  expect(await used).toBe(failed ? 'sandbox_ended' : id)
  expect(await created).toEqual(
    failed ? 'create_failed' : expect.objectContaining({ sandbox: expect.anything() }),
  )
})

test('an undo that fails hides no reason, and is tried again', async () => {
  const { useCases } = await world.server({ driver: failing({ connect: 1, stop: 1 }) })
  await expect(useCases.createSandbox({})).rejects.toMatchObject({ code: 'create_failed' })
  await until(() => world.host.sandboxes.size === 0)
})

test('an end that fails is tried again, and keeps the uid range until then', async () => {
  const { useCases, context } = await world.server({ driver: failing({ stop: 2 }) })
  const { sandbox } = await useCases.createSandbox({ name: 'box' })
  const { id } = await useCases.startExecution(sandbox.id, { argv: ['sleep', '1000'] })
  await expect(useCases.deleteSandbox(sandbox.id)).rejects.toThrow('stop failed')
  expect(await useCases.getSandbox(sandbox.id)).toMatchObject({ status: 'stopping' })
  await expect(useCases.startExecution('box', { argv: ['true'] })).rejects.toMatchObject({
    code: 'invalid_transition',
  })
  expect(context.idBases.size).toBe(1)
  await until(async () => (await useCases.getSandbox(sandbox.id)).status === 'terminated')
  expect(await useCases.getExecution(id)).toMatchObject({ state: 'ended', ending: 'sandbox-ended' })
  expect(context.idBases.size).toBe(0)
})

test('creations with one key at the same time make one sandbox', async () => {
  const { useCases } = await world.server()
  const create = () => useCases.createSandbox({}, { idempotencyKey: 'key' })
  const made = await Promise.all([create(), create(), create()])
  expect(new Set(made.map(({ sandbox }) => sandbox.id)).size).toBe(1)
  await expect(useCases.createSandbox({ name: 'x' }, { idempotencyKey: 'key' })).rejects.toMatchObject({
    code: 'idempotency_conflict',
  })
})

test('no more sandboxes are made than are allowed', async () => {
  const { useCases } = await world.server({ config: { maxSandboxes: 2 } })
  const made = await Promise.allSettled(Array.from({ length: 5 }, () => useCases.createSandbox({})))
  expect(made.filter((one) => one.status === 'fulfilled').length).toBe(2)
  const refused = made.find((one) => one.status === 'rejected')
  expect(refused?.reason.code).toBe('too_many')
})
