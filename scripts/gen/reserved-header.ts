import {
  METADATA,
  RESERVED4,
  RESERVED6,
  type Reserved,
} from '../../packages/server/src/core/network/reserved.ts'
import { cHeader } from './c-header.ts'

/** The ranges that the router refuses whatever it is told, so that they are written once for both lines of defence. */
export function reservedHeader(): string {
  const metadata = METADATA.map((range) => ({ range, why: 'metadata service' }))
  return cHeader('packages/server/src/core/network/reserved.ts', 'CAISSON_RESERVED_GEN_H', [
    table('RESERVED4', RESERVED4),
    table('RESERVED6', RESERVED6),
    table(
      'METADATA4',
      metadata.filter(({ range }) => !range.includes(':')),
    ),
    table(
      'METADATA6',
      metadata.filter(({ range }) => range.includes(':')),
    ),
  ])
}

function table(name: string, rows: readonly Reserved[]): string[] {
  return [
    `static const char *const ${name}[] = {`,
    ...rows.map(({ range, why }) => `    ${JSON.stringify(range)}, /* ${why} */`),
    '};',
  ]
}
