import { expect, test } from 'vitest'
import { FakeDoors, FakeRouter } from './fake-router.test-kit.ts'
import { Router } from './router.ts'

function setUp() {
  const hand = new FakeRouter()
  const opened: FakeDoors[] = []
  const addresses = ['203.0.113.5']
  const router = new Router({
    hand,
    permit: ['10.1.0.0/16'],
    openDoors: FakeDoors.opener(opened),
    find: () => null,
    addresses: () => [...addresses],
  })
  return { hand, opened, addresses, router }
}

test('callers at the same time open it once', async () => {
  const { router, hand, opened } = setUp()
  expect(router.doors).toBeNull()
  const [one, other] = await Promise.all([router.open(), router.open()])
  expect(one).toBe(other)
  expect(await router.open()).toBe(one)
  expect(hand.settings).toEqual([{ permit: ['10.1.0.0/16'], host: ['203.0.113.5'] }])
  expect(opened).toHaveLength(1)
  await router.close()
  expect(opened[0]?.closed).toBe(true)
  expect(router.doors).toBeNull()
})

test('a failure is told to all who wait, and the next one tries again', async () => {
  const { router, hand } = setUp()
  hand.failing.open = 1
  const both = await Promise.allSettled([router.open(), router.open()])
  expect(both.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await router.open()
  expect(router.doors).not.toBeNull()
})

test('new addresses reach the router, and its doors stay where they are', async () => {
  const { router, hand, opened, addresses } = setUp()
  await router.open()
  expect(router.outdated).toBe(false)
  addresses.push('203.0.113.6')
  expect(router.outdated).toBe(true)
  await Promise.all([router.refresh(), router.open()])
  expect(router.outdated).toBe(false)
  expect(router.host).toEqual(addresses)
  expect(hand.settings.at(-1)?.host).toEqual(addresses)
  expect(opened).toHaveLength(1)
})

test('a router that is somewhere else gets doors there', async () => {
  const { router, hand, opened } = setUp()
  await router.open()
  hand.open = async () => ({ address4: '198.19.15.254', address6: null })
  await router.refresh()
  expect(opened).toHaveLength(2)
  expect(opened[0]?.closed).toBe(true)
  expect(router.doors).toBe(opened[1])
})
