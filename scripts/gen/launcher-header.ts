import { ROUTER_PORTS } from '../../packages/server/src/core/network/types.ts'
import {
  LAUNCHER_GENERATION,
  LAUNCHER_LIMITS,
  Message,
  PacketKind,
  RootKind,
  SandboxState,
  Tag,
} from '../../packages/server/src/launcher/protocol.ts'
import {
  CAPABILITIES,
  MASKED_PATHS,
  READONLY_PATHS,
  RLIMITS,
} from '../../packages/server/src/runtime/oci/profile.ts'
import { cHeader, defines } from './c-header.ts'

/** The constants of the launcher's protocol as a C header. */
export function launcherHeader(): string {
  return cHeader('packages/server/src/launcher/protocol.ts', 'CAISSON_LAUNCHER_GEN_H', [
    [`#define LAUNCHER_GENERATION ${LAUNCHER_GENERATION}`],
    defines('LAUNCHER', LAUNCHER_LIMITS),
    defines('MESSAGE', Message),
    defines('TAG', Tag),
    defines('ROOT', RootKind),
    defines('STATE', SandboxState),
    defines('PACKET_KIND', PacketKind),
    defines('DOOR', upperCase(ROUTER_PORTS)),
  ])
}

function upperCase(values: Record<string, number>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name.toUpperCase(), value]))
}

/** What a sandbox is allowed, as C tables. */
export function profileHeader(): string {
  return cHeader('packages/server/src/runtime/oci/profile.ts', 'CAISSON_PROFILE_GEN_H', [
    ['#include <sys/resource.h>'],
    strings('PROFILE_CAPABILITIES', CAPABILITIES),
    strings('PROFILE_MASKED_PATHS', MASKED_PATHS),
    strings('PROFILE_READONLY_PATHS', READONLY_PATHS),
    [
      'static const struct {',
      '  const char *name;',
      '  int resource;',
      '  rlim_t soft;',
      '  rlim_t hard;',
      '} PROFILE_RLIMITS[] = {',
      ...RLIMITS.map((r) => `    {"${r.name}", ${r.name}, ${r.soft}, ${r.hard}},`),
      '};',
    ],
  ])
}

function strings(name: string, rows: readonly { name: string }[]): string[] {
  return [
    `static const char *const ${name}[] = {`,
    ...rows.map((row) => `    ${JSON.stringify(row.name)},`),
    '};',
  ]
}
