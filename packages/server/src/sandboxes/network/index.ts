import { createHash } from 'node:crypto'
import { statSync } from 'node:fs'
import type { Config } from '../../config.ts'
import { compilePolicy } from '../../core/network/policy.ts'
import { permitRanges } from '../../core/network/rules.ts'
import type { AddressRange, NetworkRecord, PacketRules, Policy } from '../../core/network/types.ts'
import type { Log } from '../../log.ts'
import type { NetworkHand } from '../../runtime/driver.ts'
import type { Store } from '../../state/store.ts'
import type { OpenDoors } from './doors.ts'
import { Ledger } from './ledger.ts'
import { Router } from './router.ts'
import { Subjects } from './subjects.ts'
import { Turns } from './turns.ts'

export interface NetworksOptions {
  config: Config
  log: Log
  store: Store
  hand: NetworkHand
  openDoors: OpenDoors
  /** The host's own addresses; told otherwise by tests. */
  addresses?: () => string[]
}

/** What the networks of all sandboxes share. */
export class SandboxNetworks {
  readonly hand: NetworkHand
  readonly ledger: Ledger
  readonly subjects: Subjects
  readonly router: Router
  /** Changes of one sandbox's network follow one another. */
  readonly turns = new Turns()
  readonly #permit: AddressRange[]
  readonly #launcher: string

  /** @throws SandboxError `invalid_request` for ranges in the configuration that are none */
  constructor({ config, log, store, hand, openDoors, addresses }: NetworksOptions) {
    this.hand = hand
    this.#launcher = stampOf(config.launcher)
    this.#permit = permitRanges(config.network.permit)
    this.ledger = new Ledger(store, log)
    this.subjects = new Subjects(hand, this.ledger)
    this.router = new Router({
      hand,
      permit: config.network.permit,
      openDoors,
      find: this.subjects.find,
      ...(addresses !== undefined && { addresses }),
    })
  }

  /** The compiled rules of a sandbox, by what this server and host say of private addresses. */
  compile(rules: NetworkRecord): Policy {
    const permit = [...this.#permit, ...permitRanges(rules.vouched ?? [])]
    return compilePolicy(rules, { permit, host: this.router.host })
  }

  /**
   * Tells one set of rules in the kernel from another. A router that is made by another program or at another place
   * begins without rules, so that these are part of it.
   */
  digestOf({ allow4, allow6, named4, named6, byName }: PacketRules): string {
    const hash = createHash('sha256').update(JSON.stringify([this.#launcher, this.router.facts, byName]))
    for (const ranges of [allow4, allow6, named4, named6]) {
      hash.update(`${ranges.length} `)
      for (const { first, last } of ranges) hash.update(first).update(last)
    }
    return hash.digest('base64url')
  }

  /** Names resolve no more, and what is not written yet is written. What the router forwards goes on. */
  async close(): Promise<void> {
    await this.router.close()
    await this.ledger.close()
  }
}

/** Changes when a program is replaced by another version of it. */
function stampOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.mtimeMs} ${stat.size}`
}
