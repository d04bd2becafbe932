/** Writes every generated file; with `--check`, writes nothing and fails when one would change. */
import { readFileSync, writeFileSync } from 'node:fs'
import { relative, resolve } from 'node:path'
import { cliReference } from './gen/cli-reference.ts'
import { launcherHeader, profileHeader } from './gen/launcher-header.ts'
import { openapiDocument } from './gen/openapi.ts'
import { protocolHeader } from './gen/protocol-header.ts'
import { apiReference, errorReference } from './gen/reference.ts'
import { reservedHeader } from './gen/reserved-header.ts'
import { routesModule } from './gen/routes.ts'
import { sdkReference } from './gen/sdk-reference.ts'
import { seccompTable } from './gen/seccomp-table.ts'

const root = resolve(import.meta.dirname, '..')

/** Path from the root → content. A new generated file is a new row. */
const outputs: Record<string, () => string | Promise<string>> = {
  'docs/reference/api.md': apiReference,
  'docs/reference/cli.md': cliReference,
  'docs/reference/errors.md': errorReference,
  'docs/reference/openapi.json': openapiDocument,
  'docs/reference/sdk.md': sdkReference,
  'native/launcher/launcher.gen.h': launcherHeader,
  'native/launcher/profile.gen.h': profileHeader,
  'native/launcher/reserved.gen.h': reservedHeader,
  'native/launcher/seccomp/rules.gen.h': seccompTable,
  'native/shared/protocol.gen.h': protocolHeader,
  'packages/protocol/src/routes.gen.ts': routesModule,
}

const check = process.argv.includes('--check')
const stale: string[] = []
for (const [path, make] of Object.entries(outputs)) {
  const file = resolve(root, path)
  const next = await make()
  const now = readOrEmpty(file)
  if (now === next) continue
  stale.push(relative(root, file))
  if (!check) writeFileSync(file, next)
}
for (const path of stale) console.log(check ? `stale: ${path}` : `wrote: ${path}`)
if (check && stale.length > 0) {
  console.error('Generated files differ from their sources. Run "npm run gen" and commit the result.')
  process.exit(1)
}

function readOrEmpty(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
