import { SandboxError } from '@caisson/protocol/errors'
import type { Packet, PacketRules, Pin, Plugged, RouterFacts } from '../../core/network/types.ts'
import type { FindSubject, Subject } from '../../network/subject.ts'
import type { NetworkHand, PlugLimits } from '../../runtime/driver.ts'
import type { Doors, OpenDoors } from './doors.ts'

type Step = 'open' | 'plug' | 'unplug' | 'setRules' | 'traffic'

interface Interface extends Plugged {
  limits: PlugLimits
  rules: PacketRules | null
  pins: Pin[]
  up: number
  down: number
}

/** What the kernel of a test host knows about networks. It outlives servers. */
export class FakeRouter implements NetworkHand {
  readonly interfaces = new Map<string, Interface>()
  readonly settings: { permit: string[]; host: string[] }[] = []
  /** How often a step fails from now on. */
  readonly failing: Partial<Record<Step, number>> = {}
  /** What was asked of it, in order. */
  readonly steps: string[] = []
  owners = new Map<number, string>()
  #listeners = new Set<(packet: Packet) => void>()
  #made = 0

  async open(settings: { permit: string[]; host: string[] }): Promise<RouterFacts> {
    this.#step('open')
    this.settings.push(settings)
    return { address4: '198.18.15.254', address6: null }
  }

  async plug(id: string, limits: PlugLimits): Promise<Plugged> {
    this.#step('plug', id)
    const known = this.interfaces.get(id)
    const address4 = known?.address4 ?? `198.18.0.${16 + this.#made++}`
    const made = known ?? { address4, address6: null, rules: null, pins: [], up: 0, down: 0 }
    this.interfaces.set(id, Object.assign(made, { limits }))
    return { address4, address6: null }
  }

  async unplug(id: string): Promise<void> {
    this.#step('unplug', id)
    this.interfaces.delete(id)
  }

  async setRules(id: string, rules: PacketRules, pins: Pin[]): Promise<void> {
    this.#step('setRules', id)
    Object.assign(this.#interface(id), { rules, pins })
  }

  async pin(id: string, pins: Pin[]): Promise<void> {
    this.#interface(id).pins.push(...pins)
  }

  async owner(_id: string, _protocol: 'tcp' | 'udp', port: number): Promise<string | null> {
    return this.owners.get(port) ?? null
  }

  async traffic(): ReturnType<NetworkHand['traffic']> {
    this.#step('traffic')
    return new Map(
      [...this.interfaces].map(([id, { up, down, address4, address6 }]) => [
        id,
        { up, down, address4, address6 },
      ]),
    )
  }

  onPacket(listener: (packet: Packet) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  tell(packet: Packet): void {
    for (const listener of this.#listeners) listener(packet)
  }

  #interface(id: string): Interface {
    const known = this.interfaces.get(id)
    if (known === undefined) throw new Error(`${id} is not plugged`)
    return known
  }

  #step(step: Step, id?: string): void {
    this.steps.push(id === undefined ? step : `${step} ${id}`)
    const left = this.failing[step] ?? 0
    if (left === 0) return
    this.failing[step] = left - 1
    throw new SandboxError('host_not_ready', { what: `${step} failed`, fix: '' })
  }
}

/** A server's doors, which answer every name with one address. */
export class FakeDoors implements Doors {
  readonly find: FindSubject
  readonly cuts: string[] = []
  readonly pinned: Pin[] = [{ address: '93.184.216.34', port: 22, seconds: 120 }]
  closed = false
  names = new Map<string, string>()

  constructor(find: FindSubject) {
    this.find = find
  }

  static opener(opened: FakeDoors[]): OpenDoors {
    return async (_facts, find) => {
      const doors = new FakeDoors(find)
      opened.push(doors)
      return doors
    }
  }

  async addressesOf(_subject: Subject, name: string): Promise<string[]> {
    if (name === 'gone.example.com') throw new Error('no such name')
    return ['93.184.216.34']
  }

  nameOf(_subject: Subject, address: string): string | null {
    return this.names.get(address) ?? null
  }

  pinsOf(_subject: Subject): Pin[] {
    return this.pinned
  }

  cut(id: string): void {
    this.cuts.push(id)
  }

  async close(): Promise<void> {
    this.closed = true
  }
}
