import { Sandbox } from 'caisson'
import { interleave, timed } from '../interleave.ts'
import type { Outcome, Scenario } from '../scenario.ts'
import { BenchServer } from '../server.ts'
import { summarize } from '../stats.ts'

const FILES = 1000
const OURS = `files.writeMany of ${FILES}`
const TAR = 'tar x of the same, in the sandbox'

/** Many small files in one request. */
export const batch: Scenario = {
  name: 'batch',
  title: 'A thousand small files',
  async run(run): Promise<Outcome> {
    await using server = await BenchServer.start(run.workDir)
    await using sandbox = await Sandbox.create({ client: server.client })
    const content = 'x'.repeat(1024)
    const files = Object.fromEntries(
      Array.from({ length: FILES }, (_, i) => [`batch/${i % 20}/file-${i}.txt`, `${i} ${content}`]),
    )
    await sandbox.files.writeMany(files)
    ;(await sandbox.sh('tar cf batch.tar batch && mkdir other')).throwIfFailed()
    const clear = async () => (await sandbox.sh('rm -rf batch other/*')).throwIfFailed()
    const ours = async () => {
      await clear()
      return (await timed(() => sandbox.files.writeMany(files))).ms
    }
    const tar = async () => {
      await clear()
      const { ms, result } = await timed(() => sandbox.exec(['tar', 'xf', 'batch.tar', '-C', 'other']))
      result.throwIfFailed()
      return ms
    }
    const series = await interleave(
      [
        { name: OURS, run: ours },
        { name: TAR, run: tar },
      ],
      run.quick ? 5 : 30,
      60_000,
    )
    const p50 = (name: string) => summarize(series[name] ?? []).p50
    return {
      series,
      targets: [
        {
          promise: `${FILES} files of 1 KiB in one request, p50, against \`tar x\` of them in the sandbox`,
          value: p50(OURS) / p50(TAR),
          limit: 3,
          unit: '×',
        },
      ],
    }
  },
}
