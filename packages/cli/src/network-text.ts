import type { NetworkInfo } from 'caisson'

/** Rules beyond so many are for `caisson network show`. */
const ENTRIES = 8

/** The rules in a few words. */
export function summary({ mode, default: otherwise, learn }: NetworkInfo): string {
  if (learn) return 'the public internet, and what is used is remembered'
  if (mode === 'none') return 'none'
  if (mode === 'public') return 'the public internet'
  return otherwise === 'allow' ? 'the public internet but for what is denied' : 'only what is allowed'
}

/** The rules in one line, the first entries with them. */
export function networkText(network: NetworkInfo): string {
  const entries = [
    ...network.allow.map((entry) => `allow ${entry}`),
    ...network.deny.map((entry) => `deny ${entry}`),
  ]
  const few = entries.slice(0, ENTRIES)
  const more = entries.length - few.length
  return [summary(network), ...few, ...(more > 0 ? [`and ${more} more`] : [])].join(', ')
}
