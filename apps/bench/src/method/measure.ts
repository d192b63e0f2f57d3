/**
 * The one way in which times are taken here.
 *
 * Subjects of a group are opened together, held against what is right, and warmed up; then rounds go through all of them in turn
 * (A B C, A B C, …), so that whatever else the machine does falls on all alike. After some rounds everything is closed and opened
 * anew, for where memory happens to lie decides about speed too: these are sittings. How many rounds there are follows from the time
 * that the group may take.
 *
 * A unit that may be repeated begins with one that does not count: caches and sleeping threads are left to it by whoever ran before,
 * which is not so where units follow one another, as they do at work. Then come as many as take 50 ms, and their mean is the time.
 */
import { say } from "@spikeroute/cli/terminal"
import { Cause, Data, Effect, Option, type Scope } from "effect"
import { watch } from "./disturbance.ts"
import { Recorder, record } from "./recorder.ts"
import type { Check, Timing, Values } from "./row.ts"
import { median } from "./statistics.ts"

/** What was seen beside a time. */
export interface Observation {
  readonly loss?: number
  readonly firingRates?: ReadonlyArray<number>
  readonly figures?: Readonly<Record<string, number>>
}

/** How often a unit runs for one time, and how often before without being timed. */
export interface Repeats {
  readonly times: number
  readonly uncounted: number
}

/** A subject that is ready. */
export interface Opened<E> {
  /** One unit of work; gives its seconds where it knows better than a clock around it. */
  readonly run: Effect.Effect<number | undefined, E>
  /**
   * Whether units may be run several times for one time: their state does not move. As a function, how they are, and the seconds of one:
   * by another process on its own, say, whose threads would go to sleep between one message and the next.
   */
  readonly repeatable?: true | ((repeats: Repeats) => Effect.Effect<number, E>)
  /** Holds its outputs against what is right, before anything is timed. */
  readonly check?: Effect.Effect<Check, E>
  /** Of the last unit; `seconds` are the median so far. */
  readonly observe?: (seconds: number) => Observation
  /** Processes of its own that live on: what they do is not others' doing. */
  readonly processes?: ReadonlyArray<number>
}

/** Somebody who does the work of a group. */
export interface Subject<E = unknown, R = never> {
  readonly name: string
  /** The library that it stands for, where that is not Spikeroute. */
  readonly peer?: string
  /** What it does otherwise than the others of the group. */
  readonly values?: Values
  /** Whether it is one of several ways in which its library does the same: only the fastest of them count, and go through all rounds. */
  readonly way?: true
  readonly open: Effect.Effect<Opened<E>, E, R | Scope.Scope>
}

/** Work that all subjects do, side by side. */
export interface Group<E = unknown, R = never> {
  readonly group: string
  readonly values: Values
  readonly subjects: ReadonlyArray<Subject<E, R>>
  /** Rounds that do not count, at the beginning of each sitting; default 2. */
  readonly warmUp?: number
}

export interface Budget {
  /** What all rounds of a group may take together. */
  readonly seconds: number
  /** So many rounds, whatever they take. */
  readonly rounds?: number | undefined
}

/** Something that is not on this machine: said, not a failure. */
export class AbsentError extends Data.TaggedError("AbsentError")<{
  readonly subject: string
  readonly reason: string
}> {
  override get message(): string {
    return `${this.subject} is absent: ${this.reason}`
  }
}

/** How far from what is right an output may be. Sums in another order let single neurons fire otherwise. */
export const allowed = 2e-3

/** Rounds in all: what any interval needs; and at most. And the sittings that they are cut into. */
const fewest = 3
const most = 15
const sittings = 3
/** Seconds that three rounds may take, however little a group is given: a busy machine is no reason to leave somebody out. */
const patience = 8
/** Seconds that one time of repeatable units should take at least. */
const leastSeconds = 0.05
/** A way that takes so many times as long as its library's fastest before the rounds begin does not go through them. */
const hopeless = 1.4
/** How often it is timed again before that is believed. */
const chances = 2

/** What cannot be repeated, and what has not been timed yet. */
export const once: Repeats = { times: 1, uncounted: 0 }

/** How often a repeatable unit runs that takes so many seconds. */
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

/** Why a subject cannot go on, in a line. */
export const reasonOf = (cause: Cause.Cause<unknown>): string => {
  const error = Option.getOrUndefined(Cause.findErrorOption(cause))
  if (error instanceof AbsentError) return error.reason
  return error instanceof Error ? error.message : (Cause.pretty(cause).split("\n")[0] ?? "it failed")
}

/** Whether what failed is not on this machine. */
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
    /** Seconds of a unit, and what it took with all that goes with it. */
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
    /** Gives what the effect gives; what fails leaves the group. Only an interruption goes on. */
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
              yield* drop(each, `its outputs differ from ${found.value.against} by ${found.value.error}: not timed`)
          }
        /** What a unit took before the rounds: at least, by its own account; and the last time, with all that goes with it. */
        const leasts = new Map<Taken<E>, number>()
        const lasts = new Map<Taken<E>, number>()
        /** What a subject takes of a round. */
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
        for (const each of number === 0 ? taking.filter(({ subject }) => subject.way) : []) {
          const library = taking.filter(({ subject }) => subject.way && subject.peer === each.subject.peer)
          const fastest = () => Math.min(...library.map((other) => leasts.get(other) as number))
          const isHopeless = () => taking.includes(each) && (leasts.get(each) as number) > hopeless * fastest()
          // It may have been something else that held it up.
          for (let i = 0; i < chances && isHopeless(); i++) yield* before(each)
          if (!isHopeless()) continue
          taking = taking.filter((other) => other !== each)
          yield* record({ kind: "slower", ...about(each), seconds: leasts.get(each) as number, fastest: fastest() })
        }
        for (const [each, seconds] of number === 0 ? lasts : [])
          if (opened.get(each)?.repeatable) each.repeats = repeatsOf(seconds)
        if (wanted === undefined) {
          while (taking.length > 1 && 3 * round() > Math.max(1.5 * allowedSeconds, patience)) {
            const slowest = taking.reduce((a, b) => (share(b) > share(a) ? b : a))
            const takes = (leasts.get(slowest) ?? 0).toPrecision(3)
            yield* drop(slowest, `it takes ${takes} s a time, too long for the ${Math.round(allowedSeconds)} s at hand`)
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
