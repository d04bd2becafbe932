import { SandboxError } from '@caisson/protocol/errors'
import type { Packet, PacketRules, Pin, Plugged, RouterFacts } from '../../core/network/types.ts'
import { type Launcher, LauncherError } from '../../launcher/client.ts'
import type { NetworkHand, PlugLimits } from '../driver.ts'

/** Networks by the launcher: a veth pair a sandbox, joined in a router namespace of this server's. */
export class OciNetwork implements NetworkHand {
  readonly #launcher: Launcher

  constructor(launcher: Launcher) {
    this.#launcher = launcher
  }

  async open(settings: { permit: string[]; host: string[] }, signal?: AbortSignal): Promise<RouterFacts> {
    try {
      return await this.#launcher.network(settings, signal)
    } catch (error) {
      if (!(error instanceof LauncherError)) throw error
      const what = `sandboxes cannot have a network: ${error.step}: ${error.message}`
      throw new SandboxError(
        'host_not_ready',
        { what, fix: '"caisson doctor" checks this host.' },
        { cause: error },
      )
    }
  }

  plug(id: string, limits: PlugLimits, signal?: AbortSignal): Promise<Plugged> {
    return this.#launcher.plug(id, limits, signal)
  }

  unplug(id: string, signal?: AbortSignal): Promise<void> {
    return this.#launcher.unplug(id, signal)
  }

  setRules(id: string, rules: PacketRules, pins: Pin[], signal?: AbortSignal): Promise<void> {
    return this.#launcher.setRules(id, rules, pins, signal)
  }

  pin(id: string, pins: Pin[], signal?: AbortSignal): Promise<void> {
    return this.#launcher.pin(id, pins, signal)
  }

  async owner(
    id: string,
    protocol: 'tcp' | 'udp',
    port: number,
    signal?: AbortSignal,
  ): Promise<string | null> {
    const owner = await this.#launcher.owner(id, protocol, port, signal)
    return owner === null ? null : `${printable(owner.command)} (pid ${owner.pid})`
  }

  traffic(id?: string, signal?: AbortSignal): Promise<Map<string, { up: number; down: number } & Plugged>> {
    return this.#launcher.traffic(id, signal)
  }

  onPacket(listener: (packet: Packet) => void): () => void {
    return this.#launcher.onPacket(listener)
  }
}

/** A guest chose it: nothing in it may move a cursor or end a line. */
function printable(command: string): string {
  return command.replaceAll(/[^\x20-\x7e]/g, '?') || '?'
}
