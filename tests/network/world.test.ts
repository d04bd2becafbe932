/** The made-up internet itself: what the other files say cannot be reached can be reached from the host. */
import { describe, expect } from 'vitest'
import { cannotNetwork, HOST, PRIVATE, PRIVATE6, PUBLIC, test } from './fixture.ts'

const url = (address: string) => `http://${address.includes(':') ? `[${address}]` : address}/`

describe.skipIf(cannotNetwork)('the made-up internet', () => {
  test('answers the host at every address, private and public', async ({ world }) => {
    const everywhere = [
      ...Object.values(PUBLIC).flatMap(({ v4, v6 }) => [v4, v6]),
      ...Object.values(PRIVATE),
      ...Object.values(PRIVATE6),
      ...Object.values(HOST),
    ]
    const script = 'for url; do curl -gsS -m 5 "$url" || echo "$url"; echo; done'
    const said = await world.host.exec('sh', '-c', script, 'sh', ...everywhere.map(url))
    expect(said.match(/"address":"[^"]*"/g)).toEqual(everywhere.map((address) => `"address":"${address}"`))
    expect((await world.seenPrivate()).filter(({ kind }) => kind === 'http').length).toBe(
      everywhere.length - Object.keys(PUBLIC).length * 2,
    )
  })

  test('is forgotten when it is asked to be, and knows who asked what', async ({ world }) => {
    await world.forget()
    expect([await world.seen(), await world.seenPrivate()]).toEqual([[], []])
    await world.host.exec('curl', '-sS', `http://${PUBLIC.example.v4}/path`)
    expect(await world.seen()).toContainEqual({
      address: PUBLIC.example.v4,
      port: 80,
      kind: 'http',
      from: HOST.wan4,
      name: PUBLIC.example.v4,
      what: 'GET /path',
    })
  })
})
