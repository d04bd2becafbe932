import { mkdtemp } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { interleave } from '../interleave.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { summarize } from '../stats.ts'
import { Timer } from '../timer.ts'

const OURS = './caisson version'
const NODE = 'node -e 0'

/** The command line against the bare start of the Node that runs it. */
export const cli: Scenario = {
  name: 'cli',
  title: 'Start of the command line',
  async run(run): Promise<Outcome> {
    const root = resolve(import.meta.dirname, '../..')
    await using timer = new Timer(await mkdtemp(join(run.workDir, 's-')))
    const subjects = [
      { name: OURS, run: () => timer.run({ argv: [join(root, 'caisson'), 'version'] }) },
      { name: NODE, run: () => timer.run({ argv: [join(root, 'node_modules/.bin/node'), '-e', '0'] }) },
    ]
    const series = await interleave(subjects, run.quick ? 20 : 60, 60_000)
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    return {
      series,
      targets: [
        {
          promise: '`./caisson version`, p50, against `node -e 0`',
          value: p50(OURS) / p50(NODE),
          limit: 2,
          unit: '×',
        },
      ],
    }
  },
}
