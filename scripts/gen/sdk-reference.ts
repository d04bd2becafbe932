import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

const sdk = resolve(import.meta.dirname, '../../packages/sdk/src')

/** The files of the public surface, in the order in which one meets them; index.ts or build.ts exports from each. */
const FILES = [
  'sandbox',
  'sandbox-page',
  'create-options',
  'file-list',
  'exec',
  'output',
  'result',
  'execution',
  'jobs',
  'terminal',
  'variables',
  'network',
  'ports',
  'checkpoints',
  'files',
  'write-file',
  'upload',
  'archive',
  'watch',
  'run',
  'get-sandbox',
  'client',
  'snapshots',
  'build/build',
  'build/plan',
  'build/template',
  'templates',
  'build/template-file',
  'volumes',
  'volume-files',
  'sessions',
  'get-session',
  'runtimes',
  'storage',
  'follow',
]

/** A doc comment with the declaration that it stands before. */
const DOCUMENTED =
  /^( *)\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\n\1((?:export |static |readonly |async |get |\[)*[^\n]*)/gm
const DECLARATION = /^export (?:abstract )?(?:async )?(class|function|interface|type|const) (\w+)/

/** What the SDK exports, with its own doc comments and their examples. */
export function sdkReference(): string {
  return [
    '<!-- Generated from the doc comments of packages/sdk by "npm run gen". Do not edit. -->',
    '# TypeScript SDK',
    '',
    "`import { Sandbox } from 'caisson'`. Every call takes an `AbortSignal` and fails with a `SandboxError` whose `code` is one of",
    '[errors.md](errors.md). `buildSnapshot`, `readTemplate` and what belongs to them are exported by `caisson/build`. [examples/](../../examples/) has whole programs; each is run by a test.',
    '',
    ...FILES.flatMap((file) => entries(readFileSync(resolve(sdk, `${file}.ts`), 'utf8'))),
  ].join('\n')
}

function entries(source: string): string[] {
  const lines: string[] = []
  const index = ['index.ts', 'build.ts'].map((name) => readFileSync(resolve(sdk, name), 'utf8')).join('')
  const isExported = (name: string) => new RegExp(`\\b${name}\\b`).test(index)
  let inExport = false
  for (const [, indent = '', comment = '', declaration = ''] of source.matchAll(DOCUMENTED)) {
    const name = DECLARATION.exec(declaration)?.[2] ?? ''
    const exported = name !== '' && isExported(name)
    if (indent === '') inExport = exported
    if (exported) lines.push(`## ${name}`, '', ...prose(comment), '')
    else if (inExport && indent === '  ' && isPublic(declaration))
      lines.push(`### \`${signature(declaration)}\``, '', ...prose(comment), '')
  }
  return lines
}

function isPublic(declaration: string): boolean {
  return !/^\s*(#|private |constructor)/.test(declaration)
}

/** The first line of a declaration, without what belongs to its body. */
function signature(declaration: string): string {
  return declaration
    .trim()
    .replace(/\s*[{=(]$/, '')
    .replace(/ \{$/, '')
}

function prose(comment: string): string[] {
  return comment
    .split('\n')
    .map((line) => line.replace(/^\s*\* ?/, '').trimEnd())
    .join('\n')
    .trim()
    .replace(/^@example\s*/gm, '')
    .replace(/^@(\w+)/gm, '- *$1*')
    .replace(/\{@link (\w+)[^}]*\}/g, '`$1`')
    .split('\n')
}
