import type { Config } from '../../config.ts'
import type { Log } from '../../log.ts'
import { Undo } from '../../undo.ts'
import type { OpenDoors } from './doors.ts'

/** The resolver and the proxies of this server; loaded when they are needed. @throws SandboxError `host_not_ready` */
export function doorsOf(config: Config, log: Log): OpenDoors {
  return async (facts, find) => {
    const { openEgress } = await import('../../network/index.ts')
    const { Resolver, systemNameServers } = await import('../../network/resolver/index.ts')
    await using undo = new Undo()
    const { dns } = config.network
    const nameServers = dns.length > 0 ? dns : systemNameServers()
    const resolver = new Resolver({ nameServers, find, ipv6: facts.address6 !== null, log })
    undo.add(() => resolver.close())
    await resolver.listen(facts)
    const egress = await openEgress({ facts, resolver, find, log })
    undo.add(() => egress.close())
    const opened = undo.move()
    return {
      addressesOf: (subject, name, signal) => resolver.addressesOf(subject, name, signal),
      nameOf: (subject, address) => resolver.nameOf(subject, address),
      pinsOf: (subject) => resolver.pinsOf(subject),
      cut: (id) => egress.cut(id),
      close: () => opened[Symbol.asyncDispose](),
    }
  }
}
