/**
 * Threads on a machine that does something else too.
 *
 * After every kernel the threads wait for the slowest. One that the system sets aside for another process costs all of them
 * several milliseconds, a hundred times a batch: then one thread alone is faster, up to ten times. So the first batches are
 * timed with all threads and with one, and the faster way is kept until it becomes slow. Results do not depend on the number of
 * threads, bit for bit.
 */

export interface BalanceOptions {
  readonly threads: number
  /** How often `setThreads` may still go up: each time takes new workers. */
  readonly raises: number
  readonly setThreads: (threads: number) => void
  /** The time in milliseconds. */
  readonly now: () => number
}

/** Runs that are not timed, as the runtime still compiles, and runs of which the median is taken. */
const warmUp = 2
const timed = 3

/** Runs shorter than this, in milliseconds, are not worth a decision. */
const negligible = 2

/** Many threads have become slow when so many runs one after the other take so many times what was usual. */
const patience = 3
const tolerance = 2

/** After how long, in milliseconds, all threads are tried again; four times as long from time to time. */
const firstPause = 20_000

type Phase =
  | { readonly name: "all"; readonly skip: number; readonly times: ReadonlyArray<number> }
  | { readonly name: "one"; readonly all: number; readonly times: ReadonlyArray<number> }
  | { readonly name: "keepAll"; readonly usual: number; readonly slow: ReadonlyArray<number> }
  | { readonly name: "keepOne"; readonly until: number }

const median = (times: ReadonlyArray<number>): number => times.toSorted((a, b) => a - b)[times.length >> 1] as number

export class Balance {
  private phase: Phase = { name: "all", skip: warmUp, times: [] }
  private raises: number
  private pause = firstPause
  /** Whose runs are timed. */
  private subject: unknown

  constructor(private readonly options: BalanceOptions) {
    this.raises = options.raises
  }

  /** Does the work, whose duration depends on `size` alone for the same owner. */
  time<A>(owner: object, size: number, work: () => A): A {
    const { now } = this.options
    if (this.phase.name === "keepOne" && this.raises > 0 && now() >= this.phase.until) this.raise()
    const start = now()
    const result = work()
    const duration = now() - start
    if (duration < negligible) return result
    this.subject ??= { owner, size }
    const { owner: known, size: usual } = this.subject as { owner: object; size: number }
    if (known === owner && usual === size) this.phase = this.next(this.phase, duration)
    else if (this.phase.name === "all") {
      this.subject = { owner, size }
      this.phase = { name: "all", skip: warmUp, times: [] }
    }
    return result
  }

  private raise(): void {
    this.raises--
    this.pause *= 4
    this.options.setThreads(this.options.threads)
    this.phase = { name: "all", skip: 1, times: [] }
  }

  private next(phase: Phase, duration: number): Phase {
    const { setThreads, threads, now } = this.options
    switch (phase.name) {
      case "all": {
        if (phase.skip > 0) return { ...phase, skip: phase.skip - 1 }
        const times = [...phase.times, duration]
        if (times.length < timed) return { ...phase, times }
        if (this.raises === 0) return { name: "keepAll", usual: median(times), slow: [] }
        setThreads(1)
        return { name: "one", all: median(times), times: [] }
      }
      case "one": {
        const times = [...phase.times, duration]
        if (times.length < timed) return { ...phase, times }
        if (median(times) <= phase.all) return { name: "keepOne", until: now() + this.pause }
        this.raises--
        setThreads(threads)
        return { name: "keepAll", usual: phase.all, slow: [] }
      }
      case "keepAll": {
        if (this.raises === 0) return phase
        const slow = duration > tolerance * phase.usual ? [...phase.slow, duration] : []
        if (slow.length < patience) return { ...phase, slow }
        setThreads(1)
        return { name: "one", all: median(slow), times: [] }
      }
      case "keepOne":
        return phase
    }
  }
}
