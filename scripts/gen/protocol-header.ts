import {
  Change,
  Field,
  Flag,
  FrameType,
  LIMITS,
  PROTOCOL_GENERATION,
} from '../../packages/protocol/src/frames.ts'
import { cHeader, defines } from './c-header.ts'

/** The constants of the agent protocol as a C header. */
export function protocolHeader(): string {
  return cHeader('packages/protocol/src/frames.ts', 'CAISSON_PROTOCOL_GEN_H', [
    [`#define PROTOCOL_GENERATION ${PROTOCOL_GENERATION}`],
    defines('LIMIT', LIMITS),
    defines('FRAME', FrameType),
    defines('FLAG', Flag),
    defines('FIELD', Field),
    defines('CHANGE', upperCase(Change)),
  ])
}

const upperCase = (values: Record<string, number>) =>
  Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toUpperCase(), value]))
