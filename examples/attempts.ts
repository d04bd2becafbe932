/** Try several ways at once and keep the best: a checkpoint, forks and a snapshot. */
import { Sandbox } from 'caisson'

await using sandbox = await Sandbox.create({ files: { 'number.txt': '10\n' } })
const { checkpoints, client } = sandbox

// A checkpoint is a way back for the same sandbox.
await checkpoints.create('before')
await sandbox.sh('rm number.txt')
await checkpoints.restore('before')
console.log('after restore:', (await sandbox.files.readText('number.txt')).trim())

// A fork is a copy that goes its own way, in constant time; here each takes another.
const ways = [
  'echo $(($(cat number.txt) * 2))',
  'echo $(($(cat number.txt) + 5))',
  'echo $(($(cat number.txt) - 1))',
]
const copies = await sandbox.fork({ count: ways.length })
const numbers = await Promise.all(
  copies.map(async (copy, at) => {
    await copy.sh(`${ways[at]} > result.txt`)
    return Number(await copy.files.readText('result.txt'))
  }),
)
console.log('results:', ...numbers)

// A snapshot outlives its sandbox, and new sandboxes begin with it.
const best = copies[numbers.indexOf(Math.max(...numbers))]!
const snapshot = await best.snapshot({ name: 'best' })
await Promise.all(copies.map((copy) => copy.delete()))
await using next = await Sandbox.create({ snapshot: `${snapshot.name}:${snapshot.tag}` })
console.log('the best was', (await next.files.readText('result.txt')).trim())
await client.snapshots.delete('best')

// Paused, it costs nothing; any command resumes it.
await next.pause({ depth: 'filesystem' })
const { autoResumed } = await next.exec(['true'])
console.log('resumed by itself:', autoResumed)
