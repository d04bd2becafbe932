import { type Fields, fields } from '@caisson/protocol/frame-codec'
import { parseAddress, toBytes } from '../core/network/address.ts'
import type { AddressRange, Packet, PacketRules, Pin, Plugged } from '../core/network/types.ts'
import { PacketKind, Tag } from './protocol.ts'

/** What the host alone knows: private ranges that rules may open, and its own addresses. */
export interface RouterSettings {
  permit: string[]
  host: string[]
}

/** Of one interface; null: no limit. */
export interface PlugSettings {
  uploadBytesPerSecond: number | null
  downloadBytesPerSecond: number | null
  connections: number | null
}

/** The program that holds a socket; `command` is the guest's word, `pid` as the sandbox counts. */
export interface SocketOwner {
  pid: number
  command: string
}

export type Traffic = { up: number; down: number } & Plugged

export function encodeSettings({ permit, host }: RouterSettings): Uint8Array {
  return fields().strings(Tag.PERMIT, permit).strings(Tag.HOST, host).encode()
}

export function encodePlug(id: string, settings: PlugSettings): Uint8Array {
  const { uploadBytesPerSecond, downloadBytesPerSecond, connections } = settings
  const out = fields().string(Tag.ID, id)
  if (uploadBytesPerSecond !== null) out.u64(Tag.UPLOAD, uploadBytesPerSecond)
  if (downloadBytesPerSecond !== null) out.u64(Tag.DOWNLOAD, downloadBytesPerSecond)
  if (connections !== null) out.u64(Tag.CONNECTIONS, connections)
  return out.encode()
}

export function encodeRules(id: string, rules: PacketRules, pins: Pin[]): Uint8Array {
  const { allow4, allow6, named4, named6, byName } = rules
  const out = fields()
    .string(Tag.ID, id)
    .bytes(Tag.ALLOW4, encodeRanges(allow4))
    .bytes(Tag.ALLOW6, encodeRanges(allow6))
    .bytes(Tag.NAMED4, encodeRanges(named4))
    .bytes(Tag.NAMED6, encodeRanges(named6))
    .u64(Tag.BY_NAME, byName ? 1 : 0)
  for (const pin of pins) out.bytes(Tag.PIN, encodePin(pin))
  return out.encode()
}

function encodeRanges(ranges: AddressRange[]): Uint8Array {
  return Buffer.concat(ranges.flatMap(({ first, last }) => [first, last]))
}

/** @throws TypeError for an address that is none */
export function encodePins(id: string, pins: Pin[]): Uint8Array {
  const out = fields().string(Tag.ID, id)
  for (const pin of pins) out.bytes(Tag.PIN, encodePin(pin))
  return out.encode()
}

function encodePin({ address, port, seconds }: Pin): Uint8Array {
  const parsed = parseAddress(address)
  if (parsed === null) throw new TypeError(`"${address}" is not an address`)
  const { family, value } = parsed
  const head = Buffer.alloc(6)
  head.writeUInt32LE(Math.ceil(seconds))
  head.writeUInt16LE(port, 4)
  return Buffer.concat([head, toBytes({ family, first: value, last: value }).first])
}

export function decodePlugged(answer: Fields): Plugged {
  return { address4: answer.string(Tag.ADDRESS4) ?? '', address6: answer.string(Tag.ADDRESS6) ?? null }
}

export function decodeTraffic(item: Fields): [id: string, traffic: Traffic] {
  const { address4, address6 } = decodePlugged(item)
  const traffic = { up: item.u64(Tag.UP) ?? 0, down: item.u64(Tag.DOWN) ?? 0, address4, address6 }
  return [item.string(Tag.ID) ?? '', traffic]
}

export function decodeOwner(answer: Fields): SocketOwner | null {
  const pid = answer.u64(Tag.PID)
  return pid === undefined ? null : { pid, command: answer.string(Tag.COMMAND) ?? '' }
}

const KINDS: Record<number, Packet['kind']> = {
  [PacketKind.REFUSED]: 'refused',
  [PacketKind.CONNECTIONS]: 'connections',
  [PacketKind.BY_NAME]: 'quic',
  [PacketKind.NEW]: 'new',
}

/** A copy, which outlives the buffer that it came in; null for a kind that is not known. */
export function decodePacket(event: Fields): Packet | null {
  const kind = KINDS[event.u64(Tag.KIND) ?? 0]
  if (kind === undefined) return null
  const data = Uint8Array.from(event.bytes(Tag.DATA) ?? [])
  return { sandbox: event.string(Tag.ID) ?? '', kind, data }
}
