import { lookup } from 'node:dns/promises'
import { readFile } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { degraded, type Finding, ok, tool } from './check.ts'

const on = async (path: string): Promise<boolean> =>
  (await readFile(`/proc/sys/net/${path}`, 'utf8').catch(() => '0')).trim() === '1'

/** Whether this host passes packets on, which it must between its router and the internet. */
export async function forwarding(): Promise<Finding> {
  if (await on('ipv4/ip_forward')) return ok('IPv4 is forwarded')
  return ok(
    'IPv4 is not forwarded yet; the first sandbox with a network switches it on (net.ipv4.ip_forward=1)',
  )
}

/** Never switched on by us: a host that forwards IPv6 does not take its own address from router advertisements any more. */
export async function forwarding6(): Promise<Finding> {
  if (await on('ipv6/conf/all/forwarding')) return ok('IPv6 is forwarded; sandboxes have it')
  const fix =
    'If this host has IPv6: sysctl net.ipv6.conf.all.forwarding=1 (and accept_ra=2 on its interface when its address comes by router advertisement).'
  return degraded('this host does not forward IPv6: sandboxes have IPv4 only', fix)
}

interface Chain {
  family: string
  table: string
  name: string
  hook?: string
  policy?: string
}

/** Other firewalls of this host, such as Docker's, that drop what they do not know. */
export async function otherFirewalls(signal?: AbortSignal): Promise<Finding> {
  const text = await tool('nft', ['-j', 'list', 'chains'], signal).catch(() => null)
  if (text === null) return ok('not looked at: nft does not answer for this user')
  const dropping = droppingForward(text)
  if (dropping.length === 0) return ok('no other firewall of this host drops what sandboxes send')
  const fix = dropping.some(({ family, table }) => family === 'ip' && table === 'filter')
    ? "Let it pass where Docker asks for that: iptables -I DOCKER-USER -i 'csn+' -j ACCEPT; iptables -I DOCKER-USER -o 'csn+' -j ACCEPT (without Docker: in FORWARD)."
    : 'Accept in that chain what comes from and goes to interfaces named csn*.'
  const names = dropping.map(({ family, table, name }) => `${family} ${table} ${name}`).join(', ')
  return degraded(`a firewall of this host drops what it does not know: ${names}`, fix)
}

/** From `nft -j list chains`: chains where forwarded packets are dropped unless a rule accepts them. */
export function droppingForward(json: string): Chain[] {
  const { nftables } = JSON.parse(json) as { nftables: { chain?: Chain }[] }
  return nftables
    .flatMap(({ chain }) => (chain ? [chain] : []))
    .filter(
      ({ hook, policy, table }) => hook === 'forward' && policy === 'drop' && !table.startsWith('caisson'),
    )
}

/** Whether addresses of exposed ports can be opened on this host. */
export async function previews(config: Pick<Config, 'listen' | 'previewDomain'>): Promise<Finding> {
  const { listen, previewDomain } = config
  if (listen === null)
    return degraded(
      'exposed ports have no address: no TCP listener is configured',
      'Set "listen", such as 127.0.0.1:4700.',
    )
  const name = `4000-doctor.${previewDomain}`
  const found = await lookup(name).catch(() => null)
  if (found !== null) return ok(`names below ${previewDomain} resolve here (${found.address})`)
  const fix =
    previewDomain === 'localhost'
      ? 'Browsers resolve such names by themselves; other programs take the path or the header form.'
      : `Add a wildcard record for *.${previewDomain}, or use the path or the header form.`
  return degraded(`names below ${previewDomain} do not resolve on this host`, fix)
}
