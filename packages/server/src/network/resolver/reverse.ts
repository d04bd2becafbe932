import { type Address, addressOfBytes, parseAddress } from '../../core/network/address.ts'

/** Names under which addresses are looked up. */

const V4 = '.in-addr.arpa'
const V6 = '.ip6.arpa'

/** @param name canonical */
export function isReverse(name: string): boolean {
  return `.${name}`.endsWith(V4) || `.${name}`.endsWith(V6)
}

/** The address that `4.3.2.1.in-addr.arpa` or its like in IPv6 stands for; null where the name is not of one. */
export function addressOfReverse(name: string): Address | null {
  if (name.endsWith(V4)) return parseAddress(name.slice(0, -V4.length).split('.').reverse().join('.'))
  const digits = name.slice(0, -V6.length).split('.').reverse()
  if (digits.length !== 32 || !digits.every((digit) => /^[0-9a-f]$/.test(digit))) return null
  return addressOfBytes(
    Uint8Array.from(digits.join('').match(/../g) ?? [], (byte) => Number.parseInt(byte, 16)),
  )
}
