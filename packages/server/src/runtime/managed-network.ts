import type { Packet, PacketRules, Pin, Plugged, RouterFacts } from '../core/network/types.ts'
import type { NetworkHand, PlugLimits } from './driver.ts'

/** What a driver does for networks, and how long each may take. */
export type NetworkStep = 'router' | 'plug' | 'unplug' | 'rules' | 'pin' | 'owner' | 'traffic'

/** Runs a step of one sandbox, or of none for null, within its deadline; failures become SandboxErrors. */
export type RunStep = <T>(
  step: NetworkStep,
  id: string | null,
  work: (limit: AbortSignal) => Promise<T>,
  signal?: AbortSignal,
) => Promise<T>

/** The network of a managed driver: every step through `run`. */
export class ManagedNetwork implements NetworkHand {
  readonly #hand: NetworkHand
  readonly #run: RunStep

  constructor(hand: NetworkHand, run: RunStep) {
    this.#hand = hand
    this.#run = run
  }

  open(settings: { permit: string[]; host: string[] }, signal?: AbortSignal): Promise<RouterFacts> {
    return this.#run('router', null, (limit) => this.#hand.open(settings, limit), signal)
  }

  plug(id: string, limits: PlugLimits, signal?: AbortSignal): Promise<Plugged> {
    return this.#run('plug', id, (limit) => this.#hand.plug(id, limits, limit), signal)
  }

  unplug(id: string, signal?: AbortSignal): Promise<void> {
    return this.#run('unplug', id, (limit) => this.#hand.unplug(id, limit), signal)
  }

  setRules(id: string, rules: PacketRules, pins: Pin[], signal?: AbortSignal): Promise<void> {
    return this.#run('rules', id, (limit) => this.#hand.setRules(id, rules, pins, limit), signal)
  }

  pin(id: string, pins: Pin[], signal?: AbortSignal): Promise<void> {
    return this.#run('pin', id, (limit) => this.#hand.pin(id, pins, limit), signal)
  }

  owner(id: string, protocol: 'tcp' | 'udp', port: number, signal?: AbortSignal): Promise<string | null> {
    return this.#run('owner', id, (limit) => this.#hand.owner(id, protocol, port, limit), signal)
  }

  traffic(id?: string, signal?: AbortSignal): Promise<Map<string, { up: number; down: number } & Plugged>> {
    return this.#run('traffic', null, (limit) => this.#hand.traffic(id, limit), signal)
  }

  onPacket(listener: (packet: Packet) => void): () => void {
    return this.#hand.onPacket(listener)
  }
}
