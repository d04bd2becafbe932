import {
  LAUNCHER_GENERATION,
  LAUNCHER_LIMITS,
  Message,
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

/** The constants of the launcher's protocol as a C header. */
export function launcherHeader(): string {
  return [
    '/* Generated from packages/server/src/launcher/protocol.ts by "npm run gen". Do not edit. */',
    '#ifndef CAISSON_LAUNCHER_GEN_H',
    '#define CAISSON_LAUNCHER_GEN_H',
    '',
    `#define LAUNCHER_GENERATION ${LAUNCHER_GENERATION}`,
    '',
    ...defines('LAUNCHER', LAUNCHER_LIMITS),
    '',
    ...defines('MESSAGE', Message),
    '',
    ...defines('TAG', Tag),
    '',
    ...defines('ROOT', RootKind),
    '',
    ...defines('STATE', SandboxState),
    '',
    '#endif',
    '',
  ].join('\n')
}

/** What a sandbox is allowed, as C tables. */
export function profileHeader(): string {
  return [
    '/* Generated from packages/server/src/runtime/oci/profile.ts by "npm run gen". Do not edit. */',
    '#ifndef CAISSON_PROFILE_GEN_H',
    '#define CAISSON_PROFILE_GEN_H',
    '',
    '#include <sys/resource.h>',
    '',
    ...strings('PROFILE_CAPABILITIES', CAPABILITIES),
    '',
    ...strings('PROFILE_MASKED_PATHS', MASKED_PATHS),
    '',
    ...strings('PROFILE_READONLY_PATHS', READONLY_PATHS),
    '',
    'static const struct {',
    '  const char *name;',
    '  int resource;',
    '  rlim_t soft;',
    '  rlim_t hard;',
    '} PROFILE_RLIMITS[] = {',
    ...RLIMITS.map((r) => `    {"${r.name}", ${r.name}, ${r.soft}, ${r.hard}},`),
    '};',
    '',
    '#endif',
    '',
  ].join('\n')
}

function defines(prefix: string, values: Record<string, number>): string[] {
  return Object.entries(values).map(([name, value]) => `#define ${prefix}_${name} ${value}`)
}

function strings(name: string, rows: readonly { name: string }[]): string[] {
  return [
    `static const char *const ${name}[] = {`,
    ...rows.map((row) => `    ${JSON.stringify(row.name)},`),
    '};',
  ]
}
