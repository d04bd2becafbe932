import { readdirSync } from 'node:fs'
import { performance } from 'node:perf_hooks'
import { Counter, Gauge, Histogram, Registry } from 'prom-client'

/** Seconds; from a warm claim to a burst that queues. */
const CREATE_BUCKETS = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10]
const START_BUCKETS = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.05, 0.1, 0.5, 1]

export interface Metrics {
  /** Seconds that creating a sandbox took. */
  created(seconds: number): void
  /** Seconds until a program had been started. */
  started(seconds: number): void
  /** Bytes of output sent to clients. */
  sent(bytes: number): void
  /** A request that has been answered; `operation` is a name of the operations table, or of a service route. */
  answered(operation: string, status: number): void
  /** The Prometheus text format. */
  render(): Promise<{ contentType: string; text: string }>
}

/** @param gauges read at every scrape. */
export function createMetrics(
  gauges: () => { sandboxes: Record<string, number>; executionsRunning: number },
): Metrics {
  const registry = new Registry()
  const registers = [registry]
  const create = new Histogram({
    name: 'caisson_sandbox_create_seconds',
    help: 'Time to create a sandbox.',
    buckets: CREATE_BUCKETS,
    registers,
  })
  const start = new Histogram({
    name: 'caisson_execution_start_seconds',
    help: 'Time from the request until the program had been started.',
    buckets: START_BUCKETS,
    registers,
  })
  const output = new Counter({
    name: 'caisson_output_bytes_total',
    help: 'Output of executions sent to clients.',
    registers,
  })
  const requests = new Counter({
    name: 'caisson_http_requests_total',
    help: 'Requests answered.',
    labelNames: ['operation', 'status'] as const,
    registers,
  })
  addGauges(registers, gauges)
  addProcess(registers)
  return {
    created: (seconds) => create.observe(seconds),
    started: (seconds) => start.observe(seconds),
    sent: (bytes) => output.inc(bytes),
    answered: (operation, status) => requests.inc({ operation, status }),
    render: async () => ({ contentType: registry.contentType, text: await registry.metrics() }),
  }
}

function addGauges(registers: Registry[], read: Parameters<typeof createMetrics>[0]): void {
  new Gauge({
    name: 'caisson_sandboxes',
    help: 'Sandboxes that have not ended, by status.',
    labelNames: ['status'] as const,
    registers,
    collect() {
      this.reset()
      for (const [status, count] of Object.entries(read().sandboxes)) this.set({ status }, count)
    },
  })
  new Gauge({
    name: 'caisson_executions_running',
    help: 'Executions that have not ended.',
    registers,
    collect() {
      this.set(read().executionsRunning)
    },
  })
}

/**
 * The usual process metrics, read when scraped. The library's own set also samples the event loop's delay with a
 * timer that fires a hundred times a second, which an idle server should not pay for; utilisation costs nothing.
 */
function addProcess(registers: Registry[]): void {
  const gauge = (name: string, help: string, value: () => number) =>
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value())
      },
    })
  let cpuBefore = 0
  new Counter({
    name: 'process_cpu_seconds_total',
    help: 'User and system CPU time.',
    registers,
    collect() {
      const { user, system } = process.cpuUsage()
      this.inc((user + system) / 1e6 - cpuBefore)
      cpuBefore = (user + system) / 1e6
    },
  })
  gauge('process_resident_memory_bytes', 'Resident memory.', () => process.memoryUsage.rss())
  gauge('process_open_fds', 'Open file descriptors.', () => readdirSync('/proc/self/fd').length)
  gauge('process_start_time_seconds', 'Start, since the epoch.', () => performance.timeOrigin / 1000)
  gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use.', () => process.memoryUsage().heapUsed)
  gauge('nodejs_external_memory_bytes', 'Buffers outside the heap.', () => process.memoryUsage().external)
  let before = performance.eventLoopUtilization()
  gauge(
    'nodejs_eventloop_utilization',
    'Share of the time since the last scrape that the loop was busy.',
    () => {
      const { utilization } = performance.eventLoopUtilization(before)
      before = performance.eventLoopUtilization()
      return utilization
    },
  )
}
