import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { inspect, parseArgs } from 'node:util'
import { machineLine } from './host.ts'
import { openPeers } from './peers/open.ts'
import type { Peers } from './peers/peer.ts'
import { markdown, type Report, summaryOf, tablesOf } from './report.ts'
import type { Run, Scenario } from './scenario.ts'
import { batch } from './scenarios/batch.ts'
import { burst } from './scenarios/burst.ts'
import { cli } from './scenarios/cli.ts'
import { create } from './scenarios/create.ts'
import { e2b } from './scenarios/e2b.ts'
import { exec } from './scenarios/exec.ts'
import { files } from './scenarios/files.ts'
import { flood } from './scenarios/flood.ts'
import { idle } from './scenarios/idle.ts'
import { keys } from './scenarios/keys.ts'
import { network } from './scenarios/network.ts'
import { pause } from './scenarios/pause.ts'
import { preview } from './scenarios/preview.ts'
import { relay } from './scenarios/relay.ts'
import { rules } from './scenarios/rules.ts'
import { saved } from './scenarios/saved.ts'
import { stdin } from './scenarios/stdin.ts'
import { stdout } from './scenarios/stdout.ts'
import { makeWorkDirectory } from './undertaker.ts'

const SCENARIOS: readonly Scenario[] = [
  create,
  exec,
  cli,
  burst,
  stdout,
  stdin,
  files,
  relay,
  batch,
  keys,
  network,
  rules,
  preview,
  pause,
  saved,
  e2b,
  flood,
  idle,
]
const RESULTS = join(import.meta.dirname, 'results')

const USAGE = `usage: npm run bench -- [--quick] [--only NAME]... [--json FILE]

Measures Caisson beside its peers and writes bench/results/<date>.md and .json, and all samples to results/raw/.
A run with --quick or --only is printed, and kept in results/raw/ alone.

  --quick      fewer repetitions, smaller streams
  --only NAME  ${SCENARIOS.map(({ name }) => name).join(', ')}; may be given several times
  --json FILE  the summary, to this file as well
`

interface Options {
  quick: boolean
  only: string[]
  json: string | undefined
}

function parse(argv: string[]): Options {
  const { values } = parseArgs({
    args: argv,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true, default: [] },
      json: { type: 'string' },
    },
  })
  const unknown = values.only.find((name) => !SCENARIOS.some((scenario) => scenario.name === name))
  if (unknown !== undefined) throw new TypeError(`There is no scenario "${unknown}".`)
  return { quick: values.quick, only: values.only, json: values.json }
}

async function main({ quick, only, json }: Options): Promise<void> {
  if (process.getuid?.() !== 0) throw new TypeError('The benchmark starts real sandboxes and needs root.')
  const report: Report = {
    date: new Date().toISOString().slice(0, 16).replace(':', ''),
    machine: machineLine(),
    quick,
    scenarios: [],
  }
  process.stdout.write(`${report.machine}\n`)
  await using stack = new AsyncDisposableStack()
  const { path: workDir } = stack.use(await makeWorkDirectory())
  let peers: Promise<Peers> | undefined
  // A failure to open them was the scenario's, and has been told.
  stack.defer(async () => (await peers?.catch(() => undefined))?.[Symbol.asyncDispose]())
  for (const scenario of SCENARIOS) {
    if (only.length > 0 && !only.includes(scenario.name)) continue
    const run: Run = {
      workDir,
      quick,
      peers: () => (peers ??= openPeers(workDir)),
      progress: (text) => process.stderr.write(`  ${scenario.name}: ${text}\n`),
    }
    run.progress('begins')
    const outcome = await scenario.run(run)
    const { name, title } = scenario
    report.scenarios.push({ name, title, outcome })
    process.stdout.write(`\n${tablesOf(scenario, outcome)}\n`)
  }
  save(report, only.length === 0 && !quick, json)
}

function save(report: Report, whole: boolean, json: string | undefined): void {
  const raw = join(RESULTS, 'raw')
  mkdirSync(raw, { recursive: true })
  writeFileSync(join(raw, `${report.date}.json`), JSON.stringify(report))
  const summary = `${JSON.stringify(summaryOf(report), null, 1)}\n`
  if (json !== undefined) {
    mkdirSync(dirname(json), { recursive: true })
    writeFileSync(json, summary)
  }
  if (!whole) return
  writeFileSync(join(RESULTS, `${report.date}.md`), markdown(report))
  writeFileSync(join(RESULTS, `${report.date}.json`), summary)
}

/** What failed first, and what failed because of that. */
function describe(error: unknown): string {
  if (!(error instanceof SuppressedError)) return inspect(error)
  return `${describe(error.suppressed)}\nand then, cleaning up: ${describe(error.error)}`
}

// What a signal ends is cleaned up by the process that watches this one; see undertaker.ts.
try {
  await main(parse(process.argv.slice(2)))
} catch (error) {
  process.stderr.write(`${error instanceof TypeError ? `${error.message}\n\n${USAGE}` : describe(error)}\n`)
  process.exitCode = error instanceof TypeError ? 2 : 1
}
