import { networkInterfaces } from 'node:os'

/** Interfaces of servers like this one: their addresses are reserved anyway, and come and go. */
const UPLINK = /^csn[0-9a-f]{8}$/

/** The addresses under which programs on this host can be reached from outside it, sorted. */
export function hostAddresses(): string[] {
  const own = Object.entries(networkInterfaces()).filter(([name]) => !UPLINK.test(name))
  const addresses = own.flatMap(([, list]) => list ?? []).filter(({ internal }) => !internal)
  return [...new Set(addresses.map(({ address }) => address))].toSorted()
}
