import { chmod, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Sandbox } from 'caisson'
import { BenchServer } from '../server.ts'

/** The parts of an OCI configuration that the peers change. */
export interface OciConfiguration {
  process: { args: string[] }
  root: { path: string }
  mounts: { destination: string }[]
}

export interface Captured {
  configuration: OciConfiguration
  limits: { memoryBytes: number; cpuMillis: number; pids: number }
}

/**
 * The runtime configuration that the launcher composes, taken from a sandbox as it starts, so that the peers run with
 * the very same namespaces, mappings, seccomp filter and limits.
 */
export async function captureConfiguration(workDir: string, crun: string): Promise<Captured> {
  const kept = join(workDir, 'config.json')
  const script = join(workDir, 'capture')
  await writeFile(script, captureScript(crun, kept))
  await chmod(script, 0o755)
  await using server = await BenchServer.start(workDir, { CAISSON_CRUN: script })
  await using sandbox = await Sandbox.create({ client: server.client })
  return {
    configuration: JSON.parse(await readFile(kept, 'utf8')),
    limits: sandbox.info.resources.granted,
  }
}

/** In the runtime's place: keeps the configuration of the bundle, then becomes the runtime. */
const captureScript = (crun: string, kept: string): string => `#!/bin/sh
previous=
for word do
  [ "$previous" = --bundle ] && cp "$word/config.json" '${kept}'
  previous=$word
done
exec '${crun}' "$@"
`
