import { expect, test } from 'vitest'
import { GroupSync } from './group-sync.ts'

/** A disk that takes what was written before a flush began, when the test lets the flush end. */
class Disk {
  written = 0
  durable = 0
  readonly flushes: PromiseWithResolvers<void>[] = []

  readonly flush = async (): Promise<void> => {
    const seen = this.written
    const ending = Promise.withResolvers<void>()
    this.flushes.push(ending)
    await ending.promise
    this.durable = seen
  }
}

const turn = () => new Promise(setImmediate)

test('a write is on the disk when its sync resolves, and those who wait share a flush', async () => {
  const disk = new Disk()
  const group = new GroupSync(disk.flush)
  const write = async (): Promise<void> => {
    const mine = ++disk.written
    await group.sync()
    expect(disk.durable).toBeGreaterThanOrEqual(mine)
  }
  const first = write()
  await turn()
  const during = [write(), write(), write()]
  await turn()
  expect(disk.flushes).toHaveLength(1)
  disk.flushes[0]!.resolve()
  await first
  await turn()
  expect(disk.flushes).toHaveLength(2)
  const last = write()
  disk.flushes[1]!.resolve()
  await Promise.all(during)
  await turn()
  disk.flushes[2]!.resolve()
  await last
  expect(disk.flushes).toHaveLength(3)
})

test('after a failed flush nothing is acknowledged any more', async () => {
  const disk = new Disk()
  const group = new GroupSync(disk.flush)
  const first = expect(group.sync()).rejects.toThrow('EIO')
  await turn()
  const waiting = expect(group.sync()).rejects.toThrow('EIO')
  disk.flushes[0]!.reject(new Error('EIO'))
  await Promise.all([first, waiting])
  await expect(group.sync()).rejects.toThrow('EIO')
  expect(disk.flushes).toHaveLength(1)
})
