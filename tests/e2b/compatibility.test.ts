/** The page that tells users what works names every route, and every public method of the clients. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as interpreter from '@e2b/code-interpreter'
import * as moru from '@moru-ai/core'
import * as e2b from 'e2b'
import * as e2b245 from 'e2b-2.45'
import { expect, test } from 'vitest'
import type { Dialect } from '../../packages/server/src/api/e2b/route.ts'
import { routesOf } from '../../packages/server/src/api/e2b/routes.ts'

const clients: Record<string, object> = { e2b, 'e2b-2.45': e2b245, interpreter, moru }

/** Rows of all tables: what they are about, in code, and its state. */
async function rows(): Promise<Map<string, string>> {
  const page = await readFile(join(import.meta.dirname, '../../docs/compatibility/e2b.md'), 'utf8')
  const found = [...page.matchAll(/^\| `([^`]+)` \| (\w+) \|/gm)]
  expect(new Set(found.map(([, what]) => what)).size).toBe(found.length)
  return new Map(found.map(([, what = '', state = '']) => [what, state]))
}

/** What is there for the clients themselves, though their language cannot hide it. */
const OWN = new Set([
  ...['arguments', 'caller', 'constructor', 'length', 'name', 'prototype'],
  ...['boundOpts', 'resolveOpts', 'resolveApiOpts', 'fileUrl', 'updatePagination'],
  ...['connectSandbox', 'createSandbox', 'forkSandbox'],
  ...['defaultTemplate', 'defaultMcpTemplate', 'defaultSandboxTimeoutMs'],
  ...['getJupyterRequestUrl', 'handleRequestError', 'includeDiagnostics', 'jupyterUrl'],
  ...['collectStackTrace', 'instructionsWithHashes', 'serialize'],
  ...['disableStackTrace', 'enableStackTrace', 'runInNewStackTraceContext', 'runInStackTraceOverrideContext'],
])
/** Of a template that is being described: what `Template.build` and the others call. */
const OF_TEMPLATES = new Set(['build', 'toDockerfile', 'toJSON'])

function namesOf(object: object, end: object | null, skip: ReadonlySet<string> = new Set()): string[] {
  const names: string[] = []
  for (let at: object | null = object; at !== null && at !== end; at = Object.getPrototypeOf(at))
    names.push(...Object.getOwnPropertyNames(at))
  return names.filter((name) => !OWN.has(name) && !skip.has(name))
}

type Class = { new (options: object): object; prototype: object; list?(options: object): object }

function methodsOf(client: object): string[] {
  const { Sandbox, Volume, Secret, Template, TemplateBase } = client as Record<string, Class>
  const named = (prefix: string, names: string[]) => names.map((name) => `${prefix}.${name}`)
  const classes = Object.entries({ Sandbox, Volume, Secret, Template }).flatMap(([name, each]) =>
    each === undefined ? [] : named(name, namesOf(each, Function.prototype)),
  )
  const options = { apiKey: 'e2b_00', sandboxId: 'i', sandboxDomain: 'localhost', envdVersion: '0.6.13' }
  const sandbox = new Sandbox!(options) as Record<string, object>
  const parts = ['commands', 'files', 'pty'].flatMap((part) =>
    named(part, namesOf(Object.getPrototypeOf(sandbox[part]), Object.prototype)),
  )
  return [
    ...classes,
    ...named('sandbox', namesOf(Sandbox!.prototype, Object.prototype)),
    ...parts,
    ...(sandbox.git === undefined ? [] : ['git.*']),
    ...named('pages', namesOf(Object.getPrototypeOf(Sandbox!.list?.(options)), Object.prototype)),
    ...named('volume', namesOf(Volume!.prototype, Object.prototype)),
    ...named('template', namesOf(TemplateBase!.prototype, Object.prototype, OF_TEMPLATES)),
  ]
}

test('the page lists the endpoints that there are, and no others', async () => {
  const dialect = { useCases: {}, domain: () => '', url: () => '', volumeIdIsCapability: false } as unknown
  const endpoints = routesOf(dialect as Dialect).map(({ method, path }) => `${method} ${path}`)
  const told = [...(await rows()).keys()].filter((what) => what.includes(' '))
  expect(told.toSorted()).toEqual(endpoints.toSorted())
})

test('the page says of refused endpoints that they are', async () => {
  const dialect = { useCases: {}, domain: () => '', url: () => '', volumeIdIsCapability: false } as unknown
  const table = await rows()
  for (const { name, method, path } of routesOf(dialect as Dialect)) {
    const state = table.get(`${method} ${path}`)
    expect.soft(state === 'no', `${method} ${path}`).toBe(/\.refused\d+$/.test(name))
  }
})

test('the page lists every public method of the clients, and no others', async () => {
  const methods = new Set(Object.values(clients).flatMap(methodsOf))
  const told = [...(await rows()).keys()].filter((what) => !what.includes(' '))
  expect(told.toSorted()).toEqual([...methods].toSorted())
})
