/** Builds runtimes: `setup-runtime.ts --images-dir DIR NAME…`. Progress goes to stderr. */
import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { buildTree } from '../packages/server/src/storage/images/build.ts'
import { Catalogue } from '../packages/server/src/storage/images/catalogue.ts'
import { isDerived } from '../packages/server/src/storage/images/recipe.ts'

const { values, positionals } = parseArgs({
  options: { 'images-dir': { type: 'string' } },
  allowPositionals: true,
})
if (!values['images-dir'] || positionals.length === 0) {
  console.error('usage: setup-runtime.ts --images-dir DIR NAME…')
  process.exit(64)
}
const imagesDir = resolve(values['images-dir'])
const runtimesDir = resolve(import.meta.dirname, '../runtimes')
const catalogue = new Catalogue({ runtimesDir, imagesDir })

// Ctrl-C ends the build in order: what it has made so far is removed.
const stop = new AbortController()
for (const name of ['SIGINT', 'SIGTERM'] as const)
  process.once(name, () => stop.abort(new Error(`ended by ${name}`)))

for (const name of positionals) {
  const entry = await catalogue.entry(name)
  if (entry === null || isDerived(entry.recipe)) {
    console.error(`${name} is built by the server: caisson runtime build ${name}`)
    process.exit(64)
  }
  const { folder, recipe, files } = entry
  const start = performance.now()
  const progress = (step: string) =>
    console.error(`  [${Math.round((performance.now() - start) / 1000)} s] ${step}`)
  try {
    const { built } = await buildTree({ folder, recipe, files }, { imagesDir, progress }, stop.signal)
    if (built) progress(`the runtime ${recipe.id} is built`)
  } catch (error) {
    console.error((error as Error).message)
    process.exit(1)
  }
}
