import { expect, test } from 'vitest'
import { compilePolicy } from '../../core/network/policy.ts'
import { parseNetwork } from '../../core/network/rules.ts'
import type { Packet } from '../../core/network/types.ts'
import { observation } from './packets.ts'

const policy = compilePolicy(parseNetwork({ allow: ['example.com', '93.184.216.34'] }, { permit: [] })!, {
  permit: [],
  host: [],
})
const tell = (kind: Packet['kind'], destination: string, port: number) =>
  observation({ policy }, kind, { protocol: 'tcp', destination, port, sourcePort: 40_000 }, null)

test('a connection too many that was on its way to a door is told as what it was meant for', () => {
  expect(tell('connections', '198.18.15.254', 10_443)).toMatchObject({
    verdict: 'refused',
    address: null,
    port: 443,
    rule: 'connection limit',
  })
  expect(tell('connections', '93.184.216.34', 10_443)).toMatchObject({
    address: '93.184.216.34',
    port: 10_443,
    rule: 'connection limit',
  })
})

test('a refused packet is told with the rule that refuses it', () => {
  expect(tell('refused', '10.0.0.1', 22)).toMatchObject({ address: '10.0.0.1', rule: 'private address' })
  expect(tell('quic', '93.184.216.34', 443)).toMatchObject({ verdict: 'refused', rule: 'QUIC' })
  expect(tell('new', '93.184.216.34', 22)).toMatchObject({ verdict: 'allowed', rule: 'allow 93.184.216.34' })
})
