import { driverSuite, NO_NETWORK } from '../conformance.ts'
import { MemoryDriver, MemoryHost } from './index.ts'

let last = 0

driverSuite(
  'memory',
  async () => {
    const host = new MemoryHost()
    return {
      driver: () => new MemoryDriver(host),
      plan: async () => {
        const id = `sbx_memory_${++last}`
        const limits = { memoryBytes: 1 << 30, cpuMillis: 1000, pids: 100 }
        return {
          id,
          hostname: 'memory',
          idBase: 131_072,
          root: { kind: 'directory', path: `sandboxes/${id}` },
          limits,
        }
      },
      volume: async () => `vol_memory_${++last}`,
      listener: (port) => ['listen', String(port)],
      killAgent: async (id) => host.end(id, 'SIGKILL'),
      leftovers: async (id) => [...host.sandboxes.keys()].filter((known) => known === id),
      close: async () => {},
    }
  },
  {
    'a start that fails leaves nothing': 'nothing can go wrong with a start in memory',
    'memory is limited and the kill is counted': 'it enforces no limits',
    'processes are limited': 'it enforces no limits',
    ...NO_NETWORK,
  },
)
