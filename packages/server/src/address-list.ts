import { BlockList, isIP } from 'node:net'

/**
 * Addresses and ranges, as in `10.0.0.0/8`, to look addresses up in.
 * @throws RangeError naming the entry that is neither
 */
export function addressList(entries: readonly string[]): (address: string) => boolean {
  const list = new BlockList()
  for (const entry of entries) add(list, entry)
  return (address) => isIP(address) !== 0 && list.check(address, family(address))
}

function add(list: BlockList, entry: string): void {
  const [address = '', prefix, ...rest] = entry.split('/')
  const bits = isIP(address) === 4 ? 32 : 128
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : Number.NaN
  if (isIP(address) === 0 || rest.length > 0 || !(length <= bits))
    throw new RangeError(`"${entry}" is neither an address nor a range such as 10.0.0.0/8`)
  list.addSubnet(address, length, family(address))
}

const family = (address: string) => (isIP(address) === 4 ? 'ipv4' : 'ipv6')
