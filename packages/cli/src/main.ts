import { readFileSync } from 'node:fs'

/** `version` is answered before anything is loaded: it is what people and scripts ask most. */
const [first] = process.argv.slice(2)
if (first === 'version' || first === '--version' || first === '-V') {
  const { version } = JSON.parse(readFileSync(`${import.meta.dirname}/../package.json`, 'utf8'))
  const json = process.argv.includes('--json')
  process.stdout.write(json ? `${JSON.stringify({ version })}\n` : `caisson ${version}\n`)
} else {
  const { main } = await import('./program.ts')
  await main(process.argv.slice(2))
}
