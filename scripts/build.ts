/**
 * `npm run build`: the packages as they are published, in `packages/<name>/dist`: JavaScript for Node 20 and newer,
 * types, and a package.json whose exports name them. Development needs no build; Node runs the sources.
 */
import { execFileSync } from 'node:child_process'
import { copyFileSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '..')

/** In the order of their dependencies. The server and the CLI run from sources, with Node 24. */
const PACKAGES = ['protocol', 'sdk']

for (const name of PACKAGES) build(join(root, 'packages', name))

function build(directory: string): void {
  const dist = join(directory, 'dist')
  rmSync(dist, { recursive: true, force: true })
  const config = join(directory, 'tsconfig.build.json')
  execFileSync(join(root, 'node_modules/.bin/tsc'), ['-p', config], { stdio: 'inherit' })
  const { exports, ...manifest } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
  const published = Object.fromEntries(Object.entries(exports as Record<string, string>).map(toBuilt))
  writeFileSync(
    join(dist, 'package.json'),
    `${JSON.stringify({ ...manifest, exports: published }, null, 2)}\n`,
  )
  copyFileSync(join(root, 'LICENSE'), join(dist, 'LICENSE'))
  console.log(`built ${manifest.name} ${manifest.version}: ${dist}`)
}

function toBuilt([name, source]: [string, string]): [string, { types: string; default: string }] {
  const path = source.replace('./src/', './').replace(/\.ts$/, '')
  return [name, { types: `${path}.d.ts`, default: `${path}.js` }]
}
