import { expect, test } from 'vitest'
import { learned, type Used } from './learned.ts'

const used = (name: string, address: string, port: number, protocol: Used['protocol'] = 'tcp'): Used => ({
  name,
  address,
  port,
  protocol,
})

test('what was used becomes the shortest list', () => {
  const list = learned([
    used('b.example', '1.1.1.1', 443),
    used('b.example', '1.1.1.2', 80),
    used('a.example', '1.1.1.3', 443),
    used('a.example', '1.1.1.3', 22),
    used('', '9.9.9.9', 443),
    used('', '2606::1', 443),
    used('t.example', '1.1.1.5', 123, 'udp'),
    used('p.example', '1.1.1.6', 0, 'icmp'),
    used('', '8.8.8.8', 53, 'udp'),
  ])
  expect(list).toEqual(['1.1.1.6', '2606::1', '9.9.9.9', 'a.example:22', 'b.example', 't.example:123'])
})

test('nothing used needs nothing', () => {
  expect(learned([])).toEqual([])
})
