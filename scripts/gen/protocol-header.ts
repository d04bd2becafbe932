import { Field, Flag, FrameType, LIMITS, PROTOCOL_GENERATION } from '../../packages/protocol/src/frames.ts'

/** The constants of the agent protocol as a C header. */
export function protocolHeader(): string {
  return [
    '/* Generated from packages/protocol/src/frames.ts by "npm run gen". Do not edit. */',
    '#ifndef CAISSON_PROTOCOL_GEN_H',
    '#define CAISSON_PROTOCOL_GEN_H',
    '',
    `#define PROTOCOL_GENERATION ${PROTOCOL_GENERATION}`,
    '',
    ...defines('LIMIT', LIMITS),
    '',
    ...defines('FRAME', FrameType),
    '',
    ...defines('FLAG', Flag),
    '',
    ...defines('FIELD', Field),
    '',
    '#endif',
    '',
  ].join('\n')
}

function defines(prefix: string, values: Record<string, number>): string[] {
  return Object.entries(values).map(([name, value]) => `#define ${prefix}_${name} ${value}`)
}
