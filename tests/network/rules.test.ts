/** Lists of addresses, ranges and names: what each entry means, and which one decides. */
import type { NetworkRules } from '@caisson/protocol/resources'
import { Sandbox } from 'caisson'
import { describe, expect } from 'vitest'
import { attempt, cannotNetwork, each, inside, PRIVATE, PUBLIC, test } from './fixture.ts'

const { example, other, evil, google, cloudflare } = PUBLIC
const REFUSED = /^(ECONNREFUSED|EHOSTUNREACH|EACCES|ENETUNREACH)$/
const NO = /^(curl (6|7|35|52|55|56)|403|no address|NXDOMAIN 0|REFUSED 0|ok 0)$/

describe.skipIf(cannotNetwork)('rules by address', () => {
  test('allow exactly what is listed: addresses and ranges, IPv4 and IPv6, in every protocol', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, {
      allow: [example.v4, '151.101.0.0/16', '2606:2800:220:1::/64'],
      deny: [other.v4],
    })
    const open = {
      tcp: `tcp('${example.v4}', 22, b'x')`,
      udp: `udp('${example.v4}', 9000)`,
      ping: `ping('${example.v4}')`,
      https: `reached('https://${example.v4}/')`,
      tcp6: `tcp('${example.v6}', 22, b'x')`,
      udp6: `udp('${example.v6}', 443)`,
    }
    expect(await attempt(box, open)).toEqual(each(open, 'ok'))
    const closed = await attempt(box, {
      'denied inside of an allowed range': `tcp('${other.v4}', 80)`,
      'not listed': `tcp('${evil.v4}', 80)`,
      'not listed, udp': `udp('${evil.v4}', 9000)`,
      'not listed, IPv6': `tcp('${evil.v6}', 80)`,
    })
    for (const [name, said] of Object.entries(closed)) expect.soft(said, name).toMatch(REFUSED)
  })

  test('allow nothing when the allow list is empty', async ({ world, server }) => {
    await using box = await inside(world, server, { allow: [] })
    await world.forget()
    const said = await attempt(box, {
      tcp: `tcp('${example.v4}', 80)`,
      tcp6: `tcp('${example.v6}', 80)`,
      udp: `udp('${example.v4}', 9000)`,
    })
    for (const outcome of Object.values(said)) expect(outcome).toMatch(REFUSED)
    expect(await attempt(box, { name: "resolve('example.com')" })).toEqual({ name: 'no address' })
    expect([await world.seen(), await world.seenPrivate()]).toEqual([[], []])
  })

  test('deny what is listed and nothing else', async ({ world, server }) => {
    await using box = await inside(world, server, {
      deny: ['45.33.0.0/16', evil.v6, 'other.test', '*.example.com'],
    })
    const said = await attempt(box, {
      other4: `tcp('${google.v4}', 80)`,
      name: "reached('https://example.com/')",
      address: `tcp('${evil.v4}', 22)`,
      address6: `tcp('${evil.v6}', 22)`,
      'denied name': "reached('https://other.test/')",
      'below a wildcard': "reached('https://www.example.com/')",
      'deep below a wildcard': "reached('http://a.b.example.com/')",
    })
    expect(said).toMatchObject({ other4: 'ok', name: 'ok' })
    for (const name of ['address', 'address6'] as const) expect.soft(said[name], name).toMatch(REFUSED)
    for (const name of ['denied name', 'below a wildcard', 'deep below a wildcard'] as const)
      expect.soft(said[name], name).toMatch(NO)
  })

  test('a private range opens only when the operator and the rule both name it', async ({
    world,
    server,
  }) => {
    const asked = (network: NetworkRules) => Sandbox.create({ client: server.client(), network })
    await expect(asked({ allow: ['10.20.0.0/24'] })).rejects.toMatchObject({ code: 'invalid_request' })
    await expect(asked({ allow: [PRIVATE.metadata] })).rejects.toMatchObject({ code: 'invalid_request' })
    await using permitting = await world.server({ permit: ['10.20.0.0/16', '169.254.0.0/16'] })
    await using plain = await inside(world, permitting, true)
    expect((await attempt(plain, { lan: `tcp('${PRIVATE.lan}', 80)` })).lan).toMatch(REFUSED)
    await using opened = await inside(world, permitting, { allow: [`${PRIVATE.lan}/32`] })
    const said = await attempt(opened, {
      lan: `tcp('${PRIVATE.lan}', 80)`,
      host: "tcp('10.20.0.1', 80)",
      home: `tcp('${PRIVATE.home}', 80)`,
      metadata: `tcp('${PRIVATE.metadata}', 80)`,
    })
    expect(said.lan).toBe('ok')
    for (const name of ['host', 'home', 'metadata'] as const) expect.soft(said[name], name).toMatch(REFUSED)
  })
})

describe.skipIf(cannotNetwork)('the most specific entry decides', () => {
  test('an address before a name, a name before a wildcard, the longer before the shorter, ranges last', async ({
    world,
    server,
  }) => {
    await using box = await inside(world, server, {
      allow: ['www.example.com', '*.b.example.com', '45.33.0.0/16', '1.1.1.1'],
      deny: ['*.example.com', 'b.example.com', '45.33.32.0/24', '1.1.0.0/16'],
    })
    const said = await attempt(box, {
      'exact name over wildcard': "reached('https://www.example.com/')",
      'longer wildcard over shorter': "reached('https://a.b.example.com/')",
      'shorter wildcard': "reached('https://api.example.com/')",
      'longer range over shorter': `tcp('${evil.v4}', 22)`,
      'address over range': `tcp('${cloudflare.v4}', 22)`,
      'default of an allow list': `tcp('${google.v4}', 22)`,
    })
    expect(said).toEqual({
      'exact name over wildcard': 'ok',
      'longer wildcard over shorter': 'ok',
      'shorter wildcard': expect.stringMatching(NO),
      'longer range over shorter': expect.stringMatching(REFUSED),
      'address over range': 'ok',
      'default of an allow list': expect.stringMatching(REFUSED),
    })
  })
})

describe.skipIf(cannotNetwork)('entries', () => {
  const WRONG = [
    'https://example.com',
    'example.com/path',
    'exa mple.com',
    'evil\0.example.com',
    '*',
    '*.',
    'a..b',
    '1.2.3',
    '0x7f.1',
    '2130706433',
    '1.2.3.4/33',
    '1.2.3.4/8',
    '1.2.3.4:80',
    'example.com:0',
    'example.com:65536',
    'fe80::1%eth0',
    '*.*.example.com',
    'a*.example.com',
  ]

  test('that are none are refused with their place in the request', async ({ server }) => {
    const client = server.client()
    for (const entry of WRONG)
      await expect
        .soft(Sandbox.create({ client, network: { allow: [entry] } }), JSON.stringify(entry))
        .rejects.toMatchObject({ code: 'invalid_request', message: expect.stringContaining('network.allow') })
  })

  test('the same entry in both lists is refused, however it is written', async ({ server }) => {
    const network = { allow: ['Example.com.'], deny: ['example.COM'] }
    await expect(Sandbox.create({ client: server.client(), network })).rejects.toMatchObject({
      code: 'invalid_request',
    })
  })
})
