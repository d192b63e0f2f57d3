/**
 * Chooses between one thread and all threads on a machine that runs other work too.
 *
 * After every kernel the threads wait for the slowest. If the system deschedules one of them, all lose several milliseconds, a hundred
 * times per batch; one thread alone is then up to ten times faster. The first batches are therefore timed both ways, and the faster
 * way is used until it becomes slow. Results are bit-identical for any number of threads.
 */

export interface BalanceOptions {
  readonly threads: number
  /** How often the number of threads may be raised: each time uses up workers. */
  readonly raises: number
  readonly setThreads: (threads: number) => void
  /** The current time in milliseconds. */
  readonly now: () => number
}

/** Untimed runs while the runtime still compiles, and timed runs whose median counts. */
const warmUp = 2
const timed = 3

/** Runs shorter than this, in milliseconds, are ignored. */
const negligible = 2

/** All threads count as slow after `patience` consecutive runs of more than `tolerance` times the usual duration. */
const patience = 3
const tolerance = 2

/** Milliseconds until all threads are tried again; four times as long after each try. */
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
  /** The owner and size of the runs that are timed. */
  private subject: unknown

  constructor(private readonly options: BalanceOptions) {
    this.raises = options.raises
  }

  /** Runs and times `work`. Its duration must depend only on `owner` and `size`. */
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
