import type { Mark } from './compile.ts'
import type { Judgement } from './types.ts'

/** Sentences for those who are refused: what it was, which rule decided, and what would change it. */

/** The rule that a mark stands for, as logs show it. */
export function addressRule(mark: Mark): string {
  switch (mark.kind) {
    case 'entry':
      return `${verb(mark.allowed)} ${mark.entry}`
    case 'default':
      return mark.entry === null ? `default ${verb(mark.allowed)}` : `${verb(mark.allowed)} ${mark.entry}`
    case 'learn':
      return 'learn'
    case 'reserved':
      return mark.why
    case 'host':
      return 'host address'
  }
}

export function addressMessage(address: string, mark: Mark): string {
  if (mark.allowed) return `${address} is allowed by ${quoted(addressRule(mark))}.`
  switch (mark.kind) {
    case 'host':
      return `${address} is refused: it belongs to the machine that runs this sandbox, which no rule can open.`
    case 'reserved':
      return `${address} is refused: it is ${article(mark.why)}. ${mark.permitted ? permitted(address) : FORBIDDEN}`
    case 'entry':
      return `${address} is refused by the rule ${quoted(addressRule(mark))}. Remove that entry, or allow a more specific one.`
    default:
      return `${address} is refused: no rule allows it${because(mark)}. ${allowIt(address)}`
  }
}

/** @param rule null: no entry matches the name */
export function nameMessage(
  name: string,
  { allowed, rule }: { allowed: boolean; rule: string | null },
): string {
  if (allowed)
    return rule === null ? `${name} is allowed by default.` : `${name} is allowed by ${quoted(rule)}.`
  if (rule === null) return `${name} is refused: no rule allows this name. ${allowIt(name)}`
  return `${name} is refused by the rule ${quoted(rule)}. Remove that entry, or allow a more specific one.`
}

/** Names that are not asked for, whatever the rules say. */
export function localName(name: string): Judgement {
  const kind = name.includes('.') ? "is a name of the host's own network" : 'is a name without a dot'
  return {
    allowed: false,
    rule: 'local name',
    message: `${name} is refused: it ${kind}, and such names are never resolved for sandboxes. Use the full public name.`,
  }
}

const FORBIDDEN =
  'Sandboxes reach only public addresses, whatever their rules say; only the operator can open others, with the setting network.permit.'

function permitted(address: string): string {
  return `The operator permits it, but no rule opens it. ${allowIt(address)}`
}

function allowIt(entry: string): string {
  return `Add "${entry}" to "allow" in the network rules of this sandbox to open it.`
}

function because(mark: Mark): string {
  return mark.kind === 'default' && mark.entry !== null
    ? `, and ${quoted(addressRule(mark))} refuses all others`
    : ''
}

function verb(allowed: boolean): 'allow' | 'deny' {
  return allowed ? 'allow' : 'deny'
}

function quoted(rule: string): string {
  return `"${rule}"`
}

/** `private address` as "a private address". */
export function article(why: string): string {
  return `${/^[aeiou]/.test(why) ? 'an' : 'a'} ${why}`
}
