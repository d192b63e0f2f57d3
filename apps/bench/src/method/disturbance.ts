/** How busy others keep the machine: what all processors did, less what this process and its children did. Linux. */
import { readdirSync, readFileSync } from "node:fs"
import { Effect } from "effect"

/** Clock ticks a second, in which /proc counts: 100 on all Linux that there is. */
const ticks = 100

const read = (file: string): string | undefined => {
  try {
    return readFileSync(file, "utf8")
  } catch {
    return undefined
  }
}

/** Seconds of all processors that were not idle since the machine started; what the hypervisor took counts as busy. */
const busy = (): number | undefined => {
  const line = read("/proc/stat")?.split("\n")[0]
  const [user, nice, system, , , irq, softirq, steal] = (line ?? "").split(/\s+/).slice(1).map(Number)
  const sum = user! + nice! + system! + irq! + softirq! + steal!
  return Number.isFinite(sum) ? sum / ticks : undefined
}

/** Fields of /proc/PID/stat behind the command's name, which may hold spaces. */
const statOf = (pid: number): ReadonlyArray<string> | undefined => {
  const text = read(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(")") + 2).split(" ")
}

/** Seconds that a process has used, and its children that have ended. */
const secondsOf = (pid: number): number => {
  const fields = statOf(pid)
  return fields === undefined ? 0 : fields.slice(11, 15).reduce((sum, each) => sum + Number(each), 0) / ticks
}

/** The children that a process has now. */
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
 * Waits until this process has nothing to do, for half a second at most: a runtime goes on compiling and collecting garbage behind what it
 * was told to do, and another process is not to share the machine with that while it is timed.
 */
export const settled: Effect.Effect<void> = Effect.gen(function* () {
  for (let i = 0; i < 50; i++) {
    const before = process.cpuUsage()
    yield* Effect.sleep("10 millis")
    const { user, system } = process.cpuUsage(before)
    if (user + system < 2_000) return
  }
})

/** A watch over a stretch of time; `children` are processes of ours that go on living. */
export const watch = (children: ReadonlyArray<number> = []) => {
  // Subjects may share a process: it has done its work once.
  const processes = [...new Set([process.pid, ...children])]
  const own = () => processes.reduce((sum, pid) => sum + secondsOf(pid), 0)
  const [started, before, ours] = [performance.now(), busy(), own()]
  /** How many processors others kept busy since then; undefined where the system does not tell. */
  return (): number | undefined => {
    const now = busy()
    if (before === undefined || now === undefined) return undefined
    const seconds = (performance.now() - started) / 1000
    // Each of the two counts is off by a tick and more: below that there is nothing to be told.
    const others = now - before - (own() - ours)
    return others <= 4 / ticks ? 0 : Math.round((1000 * others) / seconds) / 1000
  }
}
