/** Load from other processes: what all processors did, minus this process and its children. Linux only. */
import { readdirSync, readFileSync } from "node:fs"
import { Effect } from "effect"

/** Clock ticks per second in /proc: 100 on every Linux. */
const ticks = 100

const read = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

/** Processor seconds that were not idle since boot; stolen time counts as busy. */
const busy = (): number | undefined => {
  const line = read("/proc/stat")?.split("\n")[0]
  const [user, nice, system, , , irq, softirq, steal] = (line ?? "").split(/\s+/).slice(1).map(Number)
  const sum = user! + nice! + system! + irq! + softirq! + steal!
  return Number.isFinite(sum) ? sum / ticks : undefined
}

/** The fields of /proc/PID/stat after the command name, which may contain spaces. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  const text = read(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")
}

/** Processor seconds of a process and its finished children. */
const secondsOf = (pid: number): number => {
  const fields = statOf(pid)
  return fields === undefined ? 0 : fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0) / ticks
}

/** The current children of a process. */
export const childrenOf = (parent: number): ReadonlyArray<number> => {
  try {
    return readdirSync("/proc")
      .map(Number)
      .filter((pid) => pid > 0 && Number(statOf(pid)?.[1]) === parent)
  } catch {
    return []
  }
}

/**
 * Waits until this process is idle, for at most half a second: the runtime keeps compiling and collecting garbage for a while, and a process
 * that is timed must not share the machine with that.
 */
export const waitUntilIdle: Effect.Effect<void> = Effect.gen(function* () {
  for (let i = 0; i < 50; i++) {
    const before = process.cpuUsage()
    yield* Effect.sleep("10 millis")
    const { user, system } = process.cpuUsage(before)
    if (user + system < 2_000) return
  }
})

/** Starts to measure other load; `children` are long-lived processes of ours. */
export const watch = (children: ReadonlyArray<number> = []) => {
  // Subjects may share a process: count it once.
  const processes = [...new Set([process.pid, ...children])]
  const own = () => processes.reduce((sum, pid) => sum + secondsOf(pid), 0)
  const [started, before, ours] = [performance.now(), busy(), own()]
  /** Average number of processors that others kept busy; undefined if the system does not report it. */
  return (): number | undefined => {
    const now = busy()
    if (before === undefined || now === undefined) return undefined
    const seconds = (performance.now() - started) / 1000
    // Both counts are off by a tick or more: smaller values mean nothing.
    const others = now - before - (own() - ours)
    return others <= 4 / ticks ? 0 : Math.round((1000 * others) / seconds) / 1000
  }
}
