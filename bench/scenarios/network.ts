import { Sandbox } from 'caisson'
import { interleave } from '../interleave.ts'
import { NetworkedServer } from '../networks.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { summarize } from '../stats.ts'

const WITHOUT = 'Sandbox.create'
const WITH = 'Sandbox.create with a network'
const RULES = 'Sandbox.create with 100 rules'
const EXAMPLE = Array.from({ length: 100 }, (_, n) => `93.${n}.0.0/16`)

/** What a network adds to a create. */
export const network: Scenario = {
  name: 'network',
  title: 'Create with a network',
  async run(run): Promise<Outcome> {
    await using networked = await NetworkedServer.start(run.workDir)
    const { client } = networked.server
    const subject = (name: string, options: object) => ({
      name,
      run: async () => {
        const since = performance.now()
        const sandbox = await Sandbox.create({ ...options, client })
        const ms = performance.now() - since
        await sandbox.delete()
        return ms
      },
    })
    const subjects = [
      subject(WITHOUT, {}),
      subject(WITH, { network: true }),
      subject(RULES, { network: { allow: EXAMPLE } }),
    ]
    const series = await interleave(subjects, run.quick ? 20 : 100, 120_000)
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    return {
      series,
      targets: [
        { promise: 'a network adds to create, p50', value: p50(WITH) - p50(WITHOUT), limit: 25, unit: 'ms' },
      ],
    }
  },
}
