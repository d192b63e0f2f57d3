/**
 * The timing method of all suites.
 *
 * The subjects of a group are opened together, checked and warmed up. Rounds then run all of them in turn (A B C, A B C, …), so that other
 * load affects all alike. After a third of the rounds everything is closed and reopened, because the placement in memory also affects speed;
 * these parts are called sittings. The number of rounds follows from the group's time budget.
 *
 * A repeatable unit first runs once untimed, because the previous subject left caches cold and threads asleep, which is not so in real use.
 * Then it runs as often as fits into 50 ms, and the mean is the time.
 */
import { say } from "@spikeroute/cli/terminal"
import { Cause, Data, Effect, Option, type Scope } from "effect"
import { watch } from "./disturbance.ts"
import { Recorder, record } from "./recorder.ts"
import type { Check, Timing, Values } from "./row.ts"
import { median } from "./statistics.ts"

/** Observations besides the time. */
export interface Observation {
  readonly loss?: number
  readonly firingRates?: ReadonlyArray<number>
  readonly figures?: Readonly<Record<string, number>>
}

/** Timed and untimed repetitions of a unit per measurement. */
export interface Repeats {
  readonly times: number
  readonly uncounted: number
}

/** A subject that is ready to run. */
export interface Opened<E> {
  /** Runs one unit of work. Returns its seconds if the subject measures them more precisely than a clock around it. */
  readonly run: Effect.Effect<number | undefined, E>
  /**
   * Set if the unit can be repeated because its state does not change. A function runs the repetitions itself and returns the seconds of one,
   * for example in another process, whose threads would fall asleep between messages.
   */
  readonly repeatable?: true | ((repeats: Repeats) => Effect.Effect<number, E>)
  /** Compares its outputs with the expected ones, before anything is timed. */
  readonly check?: Effect.Effect<Check, E>
  /** Observations of the last unit; `seconds` is the median so far. */
  readonly observe?: (seconds: number) => Observation
  /** Its own long-lived processes, which do not count as other load. */
  readonly processes?: ReadonlyArray<number>
}

/** A participant in a group. */
export interface Subject<E = unknown, R = never> {
  readonly name: string
  /** The library that it belongs to, if not Spikeroute. */
  readonly peer?: string
  /** Values in which it differs from the rest of the group. */
  readonly values?: Values
  /** Set if it is one of several variants of the same library: only the fastest variants run in all rounds. */
  readonly variant?: true
  readonly open: Effect.Effect<Opened<E>, E, R | Scope.Scope>
}

/** Work that all subjects do, timed side by side. */
export interface Group<E = unknown, R = never> {
  readonly group: string
  readonly values: Values
  readonly subjects: ReadonlyArray<Subject<E, R>>
  /** Warm-up rounds at the start of each sitting. Default 2. */
  readonly warmUp?: number
}

export interface Budget {
  /** Seconds for all rounds of a group. */
  readonly seconds: number
  /** A fixed number of rounds, whatever time they take. */
  readonly rounds?: number | undefined
}

/** Something is not available on this machine, which is reported but is not a failure. */
export class AbsentError extends Data.TaggedError("AbsentError")<{
  readonly subject: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.subject} is absent: ${this.reason}`
  }
}

/** Allowed error of outputs: a different summation order may flip single spikes. */
export const allowed = 2e-3

/** Minimum rounds, required for an interval; maximum rounds; and the number of sittings. */
const fewest = 3
const most = 15
const sittings = 3
/** Seconds that three rounds may always take, so that a busy machine excludes nobody. */
const patience = 8
/** Minimum seconds of a measurement of repeatable units. */
const leastSeconds = 0.05
/** A variant slower than its library's fastest by this factor, before the rounds, is excluded. */
const slowVariant = 1.4
/** Further attempts before a variant is excluded. */
const chances = 2

/** Used for units that cannot be repeated, or have not been timed yet. */
export const once: Repeats = { times: 1, uncounted: 0 }

/** The repetitions of a unit that takes `seconds`. */
export const repeatsOf = (seconds: number): Repeats => ({
  times: Math.max(1, Math.min(1000, Math.ceil(leastSeconds / seconds))),
  uncounted: 1,
})

interface Taken<E> {
  readonly subject: Subject<E, unknown>
  readonly seconds: Array<number>
  readonly sittings: Array<number>
  readonly others: Array<number | undefined>
  repeats: Repeats
  check: Check | undefined
  observation: Observation
}

/** The reason of a failure, in one line. */
export const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error instanceof AbsentError) return error.reason
  return error instanceof Error ? error.message : (Cause.pretty(cause).split("\n")[0] ?? "it failed")
}

/** Whether the failure means that something is not available on this machine. */
export const isAbsent = (cause: Cause.Cause<unknown>) =>
  ["AbsentError", "BackendUnavailableError"].includes(
    (Option.getOrUndefined(Cause.findErrorOption(cause)) as { _tag?: string } | undefined)?._tag ?? "",
  )

/** Times the subjects of a group side by side, and records a row for each. */
export const measure = <E, R>(
  suite: string,
  { group, values, subjects, warmUp = 2 }: Group<E, R>,
  { seconds: allowedSeconds, rounds }: Budget,
  progress: Effect.Effect<void> = Effect.void,
): Effect.Effect<ReadonlyArray<Timing>, never, Recorder | R> =>
  Effect.gen(function* () {
    const began = performance.now()
    const left = () => allowedSeconds - (performance.now() - began) / 1000
    let taking = subjects.map(
      (subject): Taken<E> => ({
        subject: subject as Subject<E, unknown>,
        ...{ seconds: [], sittings: [], others: [], repeats: once, check: undefined, observation: {} },
      }),
    )
    const about = ({ subject }: Taken<E>) => ({
      ...{ suite, group, subject: subject.name, values: { ...values, ...subject.values } },
      ...(subject.peer === undefined ? {} : { peer: subject.peer }),
    })
    const drop = (each: Taken<E>, reason: string) =>
      Effect.gen(function* () {
        taking = taking.filter((other) => other !== each)
        yield* record({ kind: "failed", ...about(each), reason })
        yield* say(`${suite}, ${group}: ${each.subject.name}: ${reason}`)
      })
    /** The seconds of a unit, and those including overhead. */
    const time = ({ repeats }: Taken<E>, { run, repeatable }: Opened<E>) =>
      Effect.gen(function* () {
        const { times, uncounted } = repeats
        const start = performance.now()
        const since = (from: number) => (performance.now() - from) / 1000
        let seconds: number
        if (repeats !== once && typeof repeatable === "function") seconds = yield* repeatable(repeats)
        else {
          for (let i = 0; i < uncounted; i++) yield* run
          const before = performance.now()
          let known = 0
          for (let i = 0; i < times; i++) known += (yield* run) ?? Number.NaN
          seconds = (Number.isNaN(known) ? since(before) : known) / times
        }
        const elapsed = since(start) / (times + uncounted)
        yield* Effect.yieldNow
        return { seconds, elapsed }
      })
    /** Runs an effect for a subject; a failure removes the subject from the group. Only interruption is propagated. */
    const guarded = <A>(each: Taken<E>, effect: Effect.Effect<A, E, R | Scope.Scope>) =>
      Effect.catchCause(Effect.asSome(effect), (cause) =>
        Effect.gen(function* () {
          if (Cause.hasInterrupts(cause)) return yield* Effect.interrupt
          if (isAbsent(cause)) {
            taking = taking.filter((other) => other !== each)
            const known = (yield* Recorder).rows()
            const row = { kind: "absent", subject: each.subject.name, reason: reasonOf(cause) } as const
            if (!known.some((other) => other.kind === "absent" && other.subject === row.subject)) yield* record(row)
          } else yield* drop(each, reasonOf(cause))
          return Option.none<A>()
        }),
      )

    let wanted = rounds
    const enough = () => taking.every(({ seconds }) => seconds.length >= fewest)
    const sitting = (number: number, of: number) =>
      Effect.gen(function* () {
        const opened = new Map<Taken<E>, Opened<E>>()
        for (const each of taking) {
          const one = yield* guarded(each, each.subject.open as Effect.Effect<Opened<E>, E, R | Scope.Scope>)
          if (Option.isSome(one)) opened.set(each, one.value)
        }
        if (number === 0)
          for (const each of taking) {
            const { check } = opened.get(each) as Opened<E>
            if (check === undefined) continue
            const found = yield* guarded(each, check)
            if (Option.isNone(found)) continue
            each.check = found.value
            if (!(found.value.error <= allowed))
              yield* drop(
                each,
                `its outputs differ from ${found.value.against} by ${found.value.error}, so it is not timed`,
              )
          }
        /** Before the rounds: the least time of a unit, and the last one including overhead. */
        const leasts = new Map<Taken<E>, number>()
        const lasts = new Map<Taken<E>, number>()
        /** A subject's part of a round, in seconds. */
        const share = (each: Taken<E>) => (lasts.get(each) ?? 0) * (each.repeats.times + each.repeats.uncounted)
        const round = () => taking.reduce((sum, each) => sum + share(each), 0)
        const before = (each: Taken<E>) =>
          Effect.gen(function* () {
            const took = yield* guarded(each, time(each, opened.get(each) as Opened<E>))
            if (Option.isSome(took)) {
              leasts.set(each, Math.min(leasts.get(each) ?? Number.POSITIVE_INFINITY, took.value.seconds))
              lasts.set(each, Math.max(took.value.seconds, took.value.elapsed))
            }
            yield* progress
          })
        let warmed = 0
        for (; warmed < warmUp && (warmed === 0 || round() < allowedSeconds / 30); warmed++)
          for (const each of taking) yield* before(each)
        for (const each of number === 0 ? taking.filter(({ subject }) => subject.variant) : []) {
          const library = taking.filter(({ subject }) => subject.variant && subject.peer === each.subject.peer)
          const fastest = () => Math.min(...library.map((other) => leasts.get(other) as number))
          const isTooSlow = () => taking.includes(each) && (leasts.get(each) as number) > slowVariant * fastest()
          // Other load may have slowed it down.
          for (let i = 0; i < chances && isTooSlow(); i++) yield* before(each)
          if (!isTooSlow()) continue
          taking = taking.filter((other) => other !== each)
          yield* record({ kind: "slower", ...about(each), seconds: leasts.get(each) as number, fastest: fastest() })
        }
        for (const [each, seconds] of number === 0 ? lasts : [])
          if (opened.get(each)?.repeatable) each.repeats = repeatsOf(seconds)
        if (wanted === undefined) {
          while (taking.length > 1 && 3 * round() > Math.max(1.5 * allowedSeconds, patience)) {
            const slowest = taking.reduce((a, b) => (share(b) > share(a) ? b : a))
            const takes = (leasts.get(slowest) ?? 0).toPrecision(3)
            yield* drop(
              slowest,
              `it takes ${takes} s per unit, too long for the group's ${Math.round(allowedSeconds)} s`,
            )
          }
          wanted = Math.max(fewest, Math.min(most, Math.floor((0.8 * left()) / round()) - warmed * (of - 1)))
        }
        const own = Math.floor(((number + 1) * wanted) / of) - Math.floor((number * wanted) / of)
        for (let r = 0; r < own && taking.length > 0; r++) {
          if (rounds === undefined && enough() && left() < -0.5 * allowedSeconds) break
          const processes = [...opened.values()].flatMap((one) => one.processes ?? [])
          const others = watch(processes)
          for (const each of taking) {
            const took = yield* guarded(each, time(each, opened.get(each) as Opened<E>))
            if (Option.isNone(took)) continue
            each.seconds.push(took.value.seconds)
            each.sittings.push(number)
          }
          const busy = others()
          for (const each of taking) each.others.push(busy)
          yield* progress
        }
        for (const each of taking)
          each.observation = opened.get(each)?.observe?.(median(each.seconds)) ?? each.observation
      }).pipe(Effect.scoped)

    const of = rounds === undefined ? sittings : Math.min(sittings, rounds)
    for (let number = 0; number < of && taking.length > 0; number++) {
      if (rounds === undefined && left() < 0 && enough()) break
      yield* sitting(number, of)
    }
    const rows = taking
      .filter(({ seconds }) => seconds.length > 0)
      .map((each): Timing => {
        const { loss, firingRates, figures = {} } = each.observation
        const others = each.others.filter((busy) => busy !== undefined)
        const known = Object.fromEntries(Object.entries(figures).filter(([, value]) => Number.isFinite(value)))
        return {
          ...{ kind: "timing", ...about(each), seconds: each.seconds, sittings: each.sittings, figures: known },
          ...(others.length === each.seconds.length ? { others } : {}),
          ...(each.check === undefined ? {} : { check: each.check }),
          ...(loss === undefined ? {} : { loss }),
          ...(firingRates === undefined ? {} : { firingRates }),
        }
      })
    for (const row of rows) yield* record(row)
    return rows
  })
