/** A suite: its cases, and its time budget. */
import { print, say, showBar, table } from "@spikeroute/cli/terminal"
import type { FileServices } from "@spikeroute/datasets"
import { Cause, Effect, type Scope } from "effect"
import { columnsOf } from "./format.ts"
import { type Group, isAbsent, measure, reasonOf } from "./measure.ts"
import { type Recorder, record } from "./recorder.ts"
import { describeValues, type Figures, type Row, type Timing, type Values } from "./row.ts"

/** Services that cases may use; the scope is the suite's. */
export type Needs = FileServices | Scope.Scope

/** Figures without timing: bytes, counts. */
export interface Reading {
  readonly group: string
  readonly subject: string
  readonly peer?: string
  readonly values: Values
  readonly read: Effect.Effect<Readonly<Record<string, number>>, unknown>
}

export type Case = Group | Reading

/** Flags of all suites. */
export interface Settings {
  /** Small cases and few rounds. */
  readonly quick: boolean
  readonly threads: ReadonlyArray<number>
  readonly backends: ReadonlyArray<string> | undefined
  /** A Python interpreter, which may have PyTorch. */
  readonly python: string | undefined
  /** Folder with MNIST. */
  readonly mnist: string | undefined
  readonly rounds: number | undefined
}

export interface Suite {
  readonly name: string
  /** One-line description. */
  readonly about: string
  /** Seconds in a run of all suites. */
  readonly seconds: number
  /** Default backends. */
  readonly backends: ReadonlyArray<string>
  readonly cases: (
    settings: Settings,
    backends: ReadonlyArray<string>,
  ) => Effect.Effect<ReadonlyArray<Case>, unknown, Needs>
}

/** Position of a suite in the progress bar: seconds until it begins, and in total. */
export interface Clock {
  readonly done: number
  readonly total: number
}

const printRows = (title: string, rows: ReadonlyArray<Timing | Figures>) => {
  if (rows.length === 0) return Effect.void
  const columns = columnsOf(rows)
  return print(
    `\n${title}\n${table(
      columns.map(({ title }) => title),
      rows.map((row) => columns.map(({ cell }) => cell(row, rows))),
    )}`,
  )
}

/** A reading takes a small part of a group's time. */
const weightOf = (cases: ReadonlyArray<Case>) => cases.reduce((sum, each) => sum + ("subjects" in each ? 1 : 0.1), 0)

/** Runs a suite within `seconds`. A failing case is recorded, and the next one begins. */
export const runSuite = (
  suite: Suite,
  settings: Settings,
  seconds: number,
  clock: Clock = { done: 0, total: seconds },
): Effect.Effect<void, never, FileServices | Recorder> =>
  Effect.gen(function* () {
    const began = performance.now()
    const spent = () => (performance.now() - began) / 1000
    const backends = settings.backends ?? suite.backends
    let what = ""
    const progress = Effect.suspend(() =>
      showBar({
        label: suite.name.padEnd(8),
        done: Math.min(clock.total, clock.done + Math.min(spent(), seconds)),
        total: clock.total,
        detail: what,
        secondsLeft: Math.max(0, clock.total - clock.done - Math.min(spent(), seconds)),
      }),
    )
    const failed = (group: string, subject: string, values: Values) => (cause: Cause.Cause<unknown>) =>
      Cause.hasInterrupts(cause)
        ? Effect.interrupt
        : Effect.gen(function* () {
            if (isAbsent(cause)) return yield* record({ kind: "absent", subject, reason: reasonOf(cause) })
            const row: Row = { kind: "failed", suite: suite.name, group, subject, values, reason: reasonOf(cause) }
            yield* record(row)
            yield* say(`${suite.name}, ${group}: ${row.reason}`)
          })
    yield* progress
    const cases = yield* suite
      .cases(settings, backends)
      .pipe(Effect.catchCause((cause) => Effect.as(failed("all", suite.name, {})(cause), [])))
    /** Consecutive readings of one group form a table. */
    let readings: Array<Figures> = []
    for (const [i, each] of cases.entries()) {
      what = each.group
      yield* progress
      const title = `${suite.name}: ${each.group}${Object.keys(each.values).length && "subjects" in each ? `: ${describeValues(each.values)}` : ""}`
      if ("subjects" in each) {
        const share = Math.max(0.25 * (seconds / weightOf(cases)), (seconds - spent()) / weightOf(cases.slice(i)))
        yield* printRows(title, yield* measure(suite.name, each, { seconds: share, rounds: settings.rounds }, progress))
        continue
      }
      const { group, subject, values, peer } = each
      const row = yield* each.read.pipe(
        Effect.map(
          (figures): Figures => ({
            ...{ kind: "figures", suite: suite.name, group, subject, values, figures },
            ...(peer === undefined ? {} : { peer }),
          }),
        ),
        Effect.catchCause((cause) => Effect.as(failed(group, subject, values)(cause), undefined)),
      )
      if (row !== undefined) {
        yield* record(row)
        readings.push(row)
      }
      if (cases[i + 1]?.group !== group) {
        yield* printRows(title, readings)
        readings = []
      }
    }
  }).pipe(Effect.scoped)
