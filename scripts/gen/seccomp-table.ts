import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'

interface Condition {
  index: number
  op: 'in' | 'not' | 'none' | 'not-of-type'
  value?: string
  values?: string[]
}
interface Row {
  action: string
  reason: string
  names: string[]
  args?: Condition[]
  /** What becomes of the calls that the conditional rows above do not allow. */
  otherwise?: boolean
}
interface Profile {
  default: string
  rows: Row[]
}

/** Names in the profile → C expressions; libc's headers have the numbers. */
const VALUES: Record<string, string> = {
  NAMESPACES:
    'CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWCGROUP | 0x80u',
  PER_LINUX32_UNAME26: 'PER_LINUX32 | UNAME26',
  PER_QUERY: '0xffffffffu',
}

/** The system call profile as rules for native/launcher/seccomp/compile.c. */
export function seccompTable(): string {
  const file = resolve(import.meta.dirname, '../../packages/server/src/runtime/oci/seccomp.json')
  const profile = JSON.parse(readFileSync(file, 'utf8')) as Profile
  const rules = profile.rows.flatMap((row) => row.names.map((name) => rule(name, row)))
  return [
    '/* Generated from packages/server/src/runtime/oci/seccomp.json by "npm run gen". Do not edit. */',
    `#define DEFAULT_ERRNO ${profile.default}`,
    '',
    'static const struct rule RULES[] = {',
    ...rules,
    '};',
    '',
  ].join('\n')
}

function rule(name: string, row: Row): string {
  const errno = row.action === 'allow' ? '0' : row.action
  const conditions = (row.args ?? []).map(condition).join(', ')
  const fields = [`.name = "${name}"`, `.number = __NR_${name}`, `.error = ${errno}`]
  if (row.otherwise) fields.push('.otherwise = true')
  if (conditions) fields.push(`.conditions = {${conditions}}`)
  // Each architecture has its own set of system calls.
  return `#ifdef __NR_${name}\n    {${fields.join(', ')}},\n#endif`
}

function condition(c: Condition): string {
  const values = (c.values ?? [c.value ?? '']).map((value) => VALUES[value] ?? value)
  const op = { in: 'OP_IN', not: 'OP_NOT', none: 'OP_NONE', 'not-of-type': 'OP_NOT_OF_TYPE' }[c.op]
  return `{.op = ${op}, .index = ${c.index}, .count = ${values.length}, .values = {${values.join(', ')}}}`
}
