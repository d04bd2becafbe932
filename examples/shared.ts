/** A template whose program runs from the start, a volume that two sandboxes share, and a look at it without them. */
import { Client, Sandbox } from 'caisson'

const client = new Client()
await client.templates.build({
  name: 'counter',
  from: { runtime: 'base' },
  steps: [{ type: 'run', command: 'seq 6 > numbers.txt' }],
  startCommand: 'wc -l < numbers.txt > count.txt; exec sleep infinity',
  readyCommand: 'test -s count.txt',
})
const volume = await client.volumes.create({ name: 'notes', size: '64Mi' })
try {
  const volumes = [{ volume: volume.id, path: '/notes' }]
  await using one = await Sandbox.create({ client, template: 'counter', volumes })
  await using other = await Sandbox.create({ client, volumes: [{ ...volumes[0]!, readOnly: true }] })
  await one.sh('cat count.txt > /notes/seen.txt')
  console.log('the other sees:', (await other.files.readText('/notes/seen.txt')).trim())
} finally {
  const files = client.volumes.files(volume.id)
  console.log(
    'it stays:',
    (await files.list('/')).map(({ name }) => name),
  )
  await client.volumes.delete(volume.id)
  await client.templates.delete('counter')
  await client.close()
}
