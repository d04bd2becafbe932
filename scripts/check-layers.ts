/** Checks who imports whom against scripts/layers/table.ts, and that only config.ts reads the environment. */
import { globSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { checkGraph } from './layers/check.ts'
import { importsOf } from './layers/imports.ts'

const root = resolve(import.meta.dirname, '..')
const paths = globSync('packages/*/src/**/*.ts', { cwd: root }).filter(
  (path) => !/(\.test|conformance)\.ts$/.test(path),
)
const sources = new Map(paths.map((path) => [path, readFileSync(join(root, path), 'utf8')]))

const breaches = checkGraph(new Map([...sources].map(([path, source]) => [path, importsOf(path, source)])))
for (const [path, source] of sources) {
  if (
    path.startsWith('packages/server/') &&
    !path.endsWith('/src/config.ts') &&
    /\bprocess\.env\b/.test(source)
  ) {
    breaches.push(
      `${path}: reads the environment. Add a key to packages/server/src/config.ts and take it as a parameter.`,
    )
  }
}
for (const breach of breaches) console.error(breach)
if (breaches.length > 0) process.exit(1)
console.log(`${paths.length} modules keep to their layers.`)
