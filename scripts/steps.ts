/** Running the parts of a check or a test run, and counting what they found. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join, resolve } from 'node:path'

export const root = resolve(import.meta.dirname, '..')
const bin = join(root, 'node_modules/.bin')

export interface Counts {
  passed: number
  failed: number
  skipped: number
}

/** Runs one part with our Node first in PATH; it counts as one passed or one failed. */
export async function runStep(name: string, command: string, ...args: string[]): Promise<Counts> {
  console.log(`\n── ${name}`)
  const code = await run(command, args)
  if (code !== 0) console.error(`FAILED: ${name} (${command} ${args.join(' ')}: exit ${code})`)
  return { passed: code === 0 ? 1 : 0, failed: code === 0 ? 0 : 1, skipped: 0 }
}

/** Runs a vitest project; every test counts. A run that ends badly without a failed test counts as one failure. */
export async function runVitest(project: string): Promise<Counts> {
  console.log(`\n── vitest: ${project}`)
  const directory = mkdtempSync(join(tmpdir(), 'caisson-vitest-'))
  const file = join(directory, 'results.json')
  try {
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
    const code = await run('vitest', ['run', '--project', project, ...reporters])
    for (const title of readSkipped(file)) console.log(`skipped: ${title}`)
    const counts = readCounts(file)
    return code !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

export function total(counts: Counts[]): Counts {
  const sum = (key: keyof Counts) => counts.reduce((all, one) => all + one[key], 0)
  return { passed: sum('passed'), failed: sum('failed'), skipped: sum('skipped') }
}

/** Prints the closing line, alone and last, and sets the exit code. */
export function report({ passed, failed, skipped }: Counts): void {
  process.exitCode = failed === 0 && passed > 0 ? 0 : 1
  console.log(`\n${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
}

function readCounts(file: string): Counts {
  try {
    const results = JSON.parse(readFileSync(file, 'utf8'))
    const {
      numPassedTests: passed,
      numFailedTests: failed,
      numPendingTests: pending,
      numTodoTests: todo,
    } = results
    return { passed, failed, skipped: pending + todo }
  } catch {
    // vitest ended before it could write; its exit code says that it failed.
    return { passed: 0, failed: 0, skipped: 0 }
  }
}

/** What was left out; each title says why. */
function readSkipped(file: string): string[] {
  try {
    const { testResults } = JSON.parse(readFileSync(file, 'utf8')) as {
      testResults: { assertionResults: { fullName: string; status: string }[] }[]
    }
    const all = testResults.flatMap(({ assertionResults }) => assertionResults)
    return all.filter(({ status }) => ['skipped', 'pending', 'todo'].includes(status)).map((t) => t.fullName)
  } catch {
    // As above.
    return []
  }
}

/** @returns the exit code; 127 when the command does not exist, 128 when a signal ended it. */
function run(command: string, args: string[]): Promise<number> {
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}` }
  const child = spawn(command, args, { cwd: root, env, stdio: ['ignore', 'inherit', 'inherit'] })
  return new Promise((done) => {
    child.once('error', (error) => {
      console.error(error.message)
      done(127)
    })
    child.once('close', (code) => done(code ?? 128))
  })
}
