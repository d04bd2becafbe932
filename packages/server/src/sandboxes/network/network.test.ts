import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Server, until, World } from '../world.test-kit.ts'
import { tend } from './tend.ts'

let world: World
let addresses: string[]
beforeEach(async () => {
  world = await World.make()
  addresses = ['203.0.113.5']
})
afterEach(() => world[Symbol.asyncDispose]())

const start = (): Promise<Server> => world.server({ network: { addresses: () => addresses } })
const page = { limit: 100, offset: 0 }

test('a sandbox is created with its network in force, and told so', async () => {
  const { useCases, doors } = await start()
  const { sandbox, stages } = await useCases.createSandbox({
    network: { allow: ['Example.com', '93.184.216.0/24'], upload: '1Mi' },
    ports: [3000],
  })
  expect(sandbox.network).toMatchObject({
    mode: 'rules',
    default: 'deny',
    allow: ['93.184.216.0/24', 'example.com'],
    uploadBytesPerSecond: 2 ** 20,
  })
  expect(sandbox.ports).toEqual([{ port: 3000, access: 'private', url: null }])
  expect(stages.map(({ name }) => name)).toContain('network')
  const plugged = world.router.interfaces.get(sandbox.id)
  expect(plugged?.limits).toEqual({
    uploadBytesPerSecond: 2 ** 20,
    downloadBytesPerSecond: null,
    connections: 4096,
  })
  expect(plugged?.rules).toMatchObject({ byName: true, allow4: [{}] })
  expect(doors).toHaveLength(1)
  expect(doors[0]?.find('198.18.0.16')?.id).toBe(sandbox.id)
  expect(doors[0]?.find('::ffff:198.18.0.16')?.id).toBe(sandbox.id)
  expect(doors[0]?.find('198.18.0.17')).toBeNull()
  const [created] = (await useCases.listEvents(sandbox.id, { ...page, direction: 'asc' })).events
  expect(created?.payload).toMatchObject({
    network: { mode: 'rules' },
    ports: [{ port: 3000, access: 'private' }],
  })
})

test('without a network nothing of it is made', async () => {
  const { useCases } = await start()
  const { sandbox, stages } = await useCases.createSandbox({ network: false })
  expect(sandbox.network.mode).toBe('none')
  expect(stages.map(({ name }) => name)).not.toContain('network')
  expect(world.router.steps).toEqual([])
  expect(await useCases.getNetwork(sandbox.id)).toMatchObject({ addresses: [], uploadedBytes: 0 })
  await useCases.deleteSandbox(sandbox.id)
})

test('a driver without networks refuses one, and takes the absence of one', async () => {
  const { useCases, context } = await world.server()
  const { sandbox } = await useCases.createSandbox({ network: false })
  await expect(useCases.createSandbox({ network: true })).rejects.toMatchObject({ code: 'not_supported' })
  await expect(useCases.setNetwork(sandbox.id, true)).rejects.toMatchObject({ code: 'not_supported' })
  expect(await useCases.setNetwork(sandbox.id, false)).toMatchObject({ network: { mode: 'none' } })
  expect(context.idBases.size).toBe(1)
})

test.each(['open', 'plug', 'setRules'] as const)('a creation fails with its network (%s)', async (step) => {
  const { useCases, context, doors } = await start()
  // The first two are tried again: opening begins early, and the router may be what was lost.
  world.router.failing[step] = step === 'setRules' ? 1 : 2
  const failed = useCases.createSandbox({ network: true })
  await expect(failed).rejects.toMatchObject({
    code: 'host_not_ready',
    message: expect.stringContaining(step),
  })
  expect(world.host.sandboxes.size).toBe(0)
  expect(context.idBases.size).toBe(0)
  expect(doors[0]?.find('198.18.0.16') ?? null).toBeNull()
  await useCases.createSandbox({ network: true })
})

test('wrong rules are refused before anything is started', async () => {
  const { useCases } = await start()
  const wrong = useCases.createSandbox({ network: { allow: ['https://example.com/'] } })
  await expect(wrong).rejects.toMatchObject({ code: 'invalid_request' })
  expect(await useCases.listSandboxes({ ...everything })).toMatchObject({ total: 0 })
})
const everything = { ...page, sort: 'created', direction: 'desc', all: true } as const

test('rules are replaced while it runs: remembered, in force, connections judged anew', async () => {
  const { useCases, doors } = await start()
  const { sandbox } = await useCases.createSandbox({})
  const set = await useCases.setNetwork(sandbox.id, { allow: ['example.com'] })
  expect(set).toMatchObject({ network: { mode: 'rules' }, addresses: ['198.18.0.16'] })
  const subject = doors[0]?.find('198.18.0.16')
  expect(subject?.policy.judgeName('example.com').allowed).toBe(true)
  world.router.steps.length = 0
  await useCases.setNetwork(sandbox.id, { allow: ['example.org'] })
  // The limits stayed: the interface was left alone.
  expect(world.router.steps.filter((step) => step !== 'traffic')).toEqual([`setRules ${sandbox.id}`])
  expect(doors[0]?.find('198.18.0.16')).toBe(subject)
  expect(subject?.policy.judgeName('example.com').allowed).toBe(false)
  expect(doors[0]?.cuts.at(-1)).toBe(sandbox.id)
  expect(world.router.interfaces.get(sandbox.id)?.pins).toEqual(doors[0]?.pinned)
  await useCases.setNetwork(sandbox.id, { allow: ['example.org'], download: '1Mi' })
  expect(world.router.interfaces.get(sandbox.id)?.limits.downloadBytesPerSecond).toBe(2 ** 20)

  await useCases.setNetwork(sandbox.id, false)
  expect(world.router.interfaces.size).toBe(0)
  expect(doors[0]?.find('198.18.0.16')).toBeNull()
  expect(subject?.policy.judgeName('example.org')).toMatchObject({ allowed: false, rule: 'no network' })
  const events = await useCases.listEvents(sandbox.id, { ...page, direction: 'asc', type: 'network' })
  expect(events.events.map(({ payload }) => (payload.network as { allow: string[] }).allow)).toEqual([
    ['example.com'],
    ['example.org'],
    ['example.org'],
    [],
  ])
})

test('changes at the same time follow one another, and the last one is in force', async () => {
  const { useCases } = await start()
  const { sandbox } = await useCases.createSandbox({})
  const asked = [true, { allow: ['example.com'] }, false, { deny: ['example.org'] }] as const
  await Promise.all(asked.map((one) => useCases.setNetwork(sandbox.id, one as never)))
  const { network } = await useCases.getSandbox(sandbox.id)
  expect(network).toMatchObject({ mode: 'rules', default: 'allow', deny: ['example.org'] })
  expect(world.router.interfaces.get(sandbox.id)?.rules).toMatchObject({ byName: true })
})

test('rules that can not be put in force leave those before, or nothing', async () => {
  const { useCases, context } = await start()
  const { sandbox } = await useCases.createSandbox({ network: { allow: ['example.com'] } })
  const inForce = () => world.router.interfaces.get(sandbox.id)?.rules ?? null
  const before = inForce()
  world.router.failing.setRules = 2
  await expect(useCases.setNetwork(sandbox.id, true)).rejects.toMatchObject({ code: 'host_not_ready' })
  expect(inForce()).toEqual(before)
  expect((await useCases.getSandbox(sandbox.id)).network.allow).toEqual(['example.com'])

  world.router.failing.setRules = 3
  await expect(useCases.setNetwork(sandbox.id, true)).rejects.toMatchObject({
    message: expect.stringContaining('recorded, but could not be put in force'),
  })
  expect(inForce()).toBeNull()
  expect((await useCases.getSandbox(sandbox.id)).network.mode).toBe('public')
  await tend(context)
  expect(inForce()).toMatchObject({ byName: false })
})

test('a first network that fails is taken back', async () => {
  const { useCases } = await start()
  const { sandbox } = await useCases.createSandbox({})
  world.router.failing.setRules = 1
  await expect(useCases.setNetwork(sandbox.id, true)).rejects.toMatchObject({ code: 'host_not_ready' })
  expect(world.router.interfaces.size).toBe(0)
  expect((await useCases.getSandbox(sandbox.id)).network.mode).toBe('none')
})

test('an ended sandbox has no part in it, and its rules can not be changed', async () => {
  const { useCases, doors } = await start()
  const { sandbox } = await useCases.createSandbox({ network: true })
  await useCases.deleteSandbox(sandbox.id)
  expect(doors[0]?.find('198.18.0.16')).toBeNull()
  expect(doors[0]?.cuts.at(-1)).toBe(sandbox.id)
  await expect(useCases.setNetwork(sandbox.id, true)).rejects.toMatchObject({ code: 'sandbox_ended' })
  await expect(useCases.explainNetwork(sandbox.id, 'example.com')).rejects.toMatchObject({
    code: 'sandbox_ended',
  })
  expect(await useCases.getNetwork(sandbox.id)).toMatchObject({ network: { mode: 'public' }, addresses: [] })
})

test('the next server finds networks and puts recorded rules in force', async () => {
  const first = await start()
  const { sandbox } = await first.useCases.createSandbox({ network: { allow: ['example.com'] } })
  const plain = await first.useCases.createSandbox({})
  first.die()
  // It had died between the record and the kernel.
  const record = (await world.store.sandboxes.get(sandbox.id))!
  await world.store.sandboxes.update(sandbox.id, { network: { ...record.network!, allow: ['example.org'] } })
  const next = await start()
  const subject = next.doors[0]?.find('198.18.0.16')
  expect(subject?.policy.judgeName('example.org').allowed).toBe(true)
  expect(subject?.policy.judgeName('example.com').allowed).toBe(false)
  expect(world.router.interfaces.has(plain.sandbox.id)).toBe(false)
})

test('rules that the kernel has are left alone, with the connections that they let pass', async () => {
  const first = await start()
  const { sandbox } = await first.useCases.createSandbox({ network: { allow: ['example.com:22'] } })
  const changed = await first.useCases.createSandbox({})
  await first.useCases.setNetwork(changed.sandbox.id, { allow: ['example.org'] })
  const later = { address: '151.101.1.6', port: 22, seconds: 60 }
  await world.router.pin(sandbox.id, [later])
  first.die()
  world.router.steps.length = 0
  const next = await start()
  expect(world.router.steps.filter((step) => step.startsWith('setRules'))).toEqual([])
  expect(world.router.interfaces.get(sandbox.id)?.pins).toContainEqual(later)
  next.die()
  // Without the range that the operator permits these would be other rules.
  const permitting = await world.server({
    config: { network: { permit: ['10.1.0.0/16'], dns: [], connections: 7 } },
    network: { addresses: () => addresses },
  })
  await permitting.useCases.setNetwork(sandbox.id, { allow: ['10.1.0.0/16'] })
  permitting.die()
  await start()
  expect(world.router.interfaces.get(sandbox.id)?.rules?.allow4).toEqual([])
})

test('a router that can not be made keeps no server from starting, and is made later', async () => {
  const first = await start()
  const { sandbox } = await first.useCases.createSandbox({ network: true })
  first.die()
  world.router.failing.open = 1
  const next = await start()
  expect(next.doors).toEqual([])
  expect((await next.useCases.getSandbox(sandbox.id)).status).toBe('idle')
  await tend(next.context)
  expect(next.doors[0]?.find('198.18.0.16')?.id).toBe(sandbox.id)
})

test('a lost interface comes back, with the router if that is what was lost', async () => {
  const { useCases, context } = await start()
  const { sandbox } = await useCases.createSandbox({ network: true })
  await tend(context)
  expect(world.router.steps.filter((step) => step === 'open')).toHaveLength(1)
  world.router.interfaces.clear()
  await tend(context)
  expect(world.router.interfaces.get(sandbox.id)?.rules).not.toBeNull()
  expect(world.router.steps.filter((step) => step === 'open')).toHaveLength(2)
  world.router.failing.traffic = 1
  await tend(context)
  expect(world.router.steps.filter((step) => step === 'open')).toHaveLength(3)
})

test('new addresses of the host are refused as soon as they are seen', async () => {
  const { useCases, context, doors } = await start()
  await useCases.createSandbox({ network: true })
  const judge = () => doors[0]?.find('198.18.0.16')?.policy.judgeAddress('93.184.216.34')
  expect(judge()?.allowed).toBe(true)
  addresses = ['203.0.113.5', '93.184.216.34']
  await tend(context)
  expect(world.router.settings.at(-1)?.host).toEqual(addresses)
  expect(judge()).toMatchObject({ allowed: false, rule: 'host address' })
  expect(doors).toHaveLength(1)
})

test('what was sent is counted once, over interfaces, servers and the end', async () => {
  const { useCases, die } = await start()
  const { sandbox } = await useCases.createSandbox({ network: true })
  const count = (bytes: { up: number; down: number }) =>
    Object.assign(world.router.interfaces.get(sandbox.id)!, bytes)
  const sent = async (server: Pick<Server, 'useCases'>) =>
    (await server.useCases.getStats({})).totalNetworkEgressBytes
  count({ up: 100, down: 1000 })
  expect(await sent({ useCases })).toBe(100)
  count({ up: 150, down: 1500 })
  expect(await sent({ useCases })).toBe(150)
  await useCases.setNetwork(sandbox.id, false)
  await useCases.setNetwork(sandbox.id, true)
  expect(await sent({ useCases })).toBe(150)
  count({ up: 30, down: 300 })
  expect(await sent({ useCases })).toBe(180)
  const state = { uploadedBytes: 180, downloadedBytes: 1800 }
  expect(await useCases.getNetwork(sandbox.id)).toMatchObject(state)
  die()
  const next = await start()
  expect(await sent(next)).toBe(180)
  // The router was lost while no server ran.
  next.die()
  world.router.interfaces.clear()
  const last = await start()
  count({ up: 5, down: 50 })
  expect(await sent(last)).toBe(185)
  await last.useCases.deleteSandbox(sandbox.id)
  expect(await sent(last)).toBe(185)
  expect(await last.useCases.getNetwork(sandbox.id)).toMatchObject({ uploadedBytes: 185 })
})

test('refusals of doors and packets make the log, with the program where it is known', async () => {
  const { useCases, doors } = await start()
  const { sandbox } = await useCases.createSandbox({ network: { allow: ['example.com'] } })
  const subject = doors[0]!.find('198.18.0.16')!
  world.router.owners.set(40_000, 'curl (pid 7)')
  const judged = subject.policy.judgeName('evil.example')
  await subject.observe({
    verdict: 'refused',
    protocol: 'dns',
    name: 'evil.example',
    address: null,
    port: null,
    rule: judged.rule,
    message: judged.message,
    source: { protocol: 'udp', port: 40_000 },
  })
  doors[0]!.names.set('93.184.216.34', 'example.com')
  const syn = Buffer.from('4500003c0000400040060000c61200105db8d8229c400016000000000000000000005002', 'hex')
  const data = Buffer.alloc(40)
  syn.copy(data)
  world.router.tell({ sandbox: sandbox.id, kind: 'refused', data })
  world.router.tell({ sandbox: sandbox.id, kind: 'refused', data: data.subarray(0, 10) })
  world.router.tell({ sandbox: 'sbx_none', kind: 'refused', data })
  // The program is looked up while the entry waits to be written.
  await until(async () => (await useCases.readNetworkLog(sandbox.id, page)).total === 2)
  const { entries } = await useCases.readNetworkLog(sandbox.id, page)
  expect(entries).toMatchObject([
    { protocol: 'dns', name: 'evil.example', process: 'curl (pid 7)', count: 1, rule: 'default deny' },
    { protocol: 'tcp', name: 'example.com', address: '93.184.216.34', port: 22, verdict: 'refused' },
  ])
  expect(entries[1]?.message).toContain('"example.com:22"')
  const newest = await useCases.readNetworkLog(sandbox.id, { ...page, reverse: true, limit: 1 })
  expect(newest).toMatchObject({ total: 2, entries: [{ protocol: 'tcp' }] })
  await useCases.deleteSandbox(sandbox.id)
  expect(await useCases.readNetworkLog(sandbox.id, page)).toMatchObject({ total: 2 })
})

test('what is used while it learns makes the shortest list', async () => {
  const { useCases, doors } = await start()
  const { sandbox } = await useCases.createSandbox({ network: { learn: true } })
  const subject = doors[0]!.find('198.18.0.16')!
  const use = { verdict: 'allowed', rule: 'learn', message: '' } as const
  const name = 'example.com'
  void subject.observe({ ...use, protocol: 'tls', name, address: '93.184.216.34', port: 443 })
  void subject.observe({ ...use, protocol: 'tcp', name: null, address: '1.1.1.1', port: 853 })
  const { learned } = await useCases.getNetwork(sandbox.id)
  expect(learned).toEqual(['1.1.1.1', 'example.com'])
  const { destinations, total } = await useCases.listDestinations(sandbox.id, page)
  expect(total).toBe(2)
  expect(destinations.find((one) => one.name === name)).toMatchObject({
    port: 443,
    protocol: 'tcp',
    connections: 1,
    uploadedBytes: null,
  })
})

test('explanations agree with the rules of the sandbox', async () => {
  const { useCases } = await start()
  const { sandbox } = await useCases.createSandbox({ network: { allow: ['*.example.com'] } })
  const explain = (destination: string) => useCases.explainNetwork(sandbox.id, destination)
  expect(await explain('www.example.com:443')).toMatchObject({
    verdict: 'allowed',
    addresses: [{ address: '93.184.216.34', verdict: 'allowed' }],
  })
  expect(await explain('gone.example.com')).toMatchObject({ verdict: 'refused', rule: 'no address' })
  expect(await explain('example.org')).toMatchObject({ verdict: 'refused', rule: 'default deny' })
  expect(await explain('10.0.0.1')).toMatchObject({ verdict: 'refused', rule: 'private address' })
  await expect(explain('http://x')).rejects.toMatchObject({ code: 'invalid_request' })
  await useCases.setNetwork(sandbox.id, false)
  expect(await explain('example.org:80')).toMatchObject({ verdict: 'refused', rule: 'no network' })
})
