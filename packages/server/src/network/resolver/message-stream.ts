/** DNS messages on a TCP connection: each after its length in two bytes. Holds one message at most. */
export class MessageStream {
  #kept: Buffer = Buffer.alloc(0)

  /** Whether part of a message has come. */
  get partial(): boolean {
    return this.#kept.length > 0
  }

  /** @returns the messages that are complete now */
  push(data: Buffer): Buffer[] {
    const messages: Buffer[] = []
    let rest = this.#kept.length === 0 ? data : Buffer.concat([this.#kept, data])
    while (rest.length >= 2) {
      const end = 2 + rest.readUInt16BE(0)
      if (rest.length < end) break
      messages.push(rest.subarray(2, end))
      rest = rest.subarray(end)
    }
    this.#kept = rest
    return messages
  }

  static frame(message: Buffer): Buffer {
    const framed = Buffer.allocUnsafe(2 + message.length)
    framed.writeUInt16BE(message.length)
    message.copy(framed, 2)
    return framed
  }
}
