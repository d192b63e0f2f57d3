/**
 * What a run of the benchmarks leaves: a file of JSON lines. The first says what was run where; each other is a timing, figures
 * without a time, what was absent, or what failed; the last says how the run ended. A line is written as soon as it is known, so
 * whatever ends a run early, what was measured is there.
 */
import { Schema } from "effect"

const Numbers = Schema.Record(Schema.String, Schema.Finite)

/** Parameters of a case: a model's name, time steps, a density… */
const Values = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite]))

export type Values = typeof Values.Type

/** What a line is about: rows of one `group` were measured side by side. */
const about = {
  suite: Schema.String,
  group: Schema.String,
  /** Who did it: a backend, or a peer. */
  subject: Schema.String,
  /** The library that it stands for, where that is not Spikeroute. */
  peer: Schema.optionalKey(Schema.String),
  values: Values,
}

/** How the outputs of a subject were found right before it was timed. */
export const Check = Schema.Struct({
  /** What they were held against. */
  against: Schema.String,
  /** The largest difference over the largest value. */
  error: Schema.Finite,
})

export type Check = typeof Check.Type

export const Run = Schema.Struct({
  kind: Schema.tag("run"),
  format: Schema.Literal(1),
  /** ISO 8601. */
  started: Schema.String,
  command: Schema.String,
  commit: Schema.String,
  machine: Schema.Struct({
    processor: Schema.String,
    processors: Schema.Int,
    memoryBytes: Schema.Finite,
    system: Schema.String,
  }),
  versions: Schema.Record(Schema.String, Schema.String),
})

export const Timing = Schema.Struct({
  kind: Schema.tag("timing"),
  ...about,
  /** Of one unit of work, one for each round; rounds of all subjects of a group go with each other. */
  seconds: Schema.Array(Schema.Finite),
  /** For each round, in which sitting it was: between sittings, all is closed and opened anew. */
  sittings: Schema.Array(Schema.Int),
  /** For each round, how many processors others kept busy; absent where the system does not tell. */
  others: Schema.optionalKey(Schema.Array(Schema.Finite)),
  check: Schema.optionalKey(Check),
  loss: Schema.optionalKey(Schema.Finite),
  /** Spikes per neuron and time step, of each layer of neurons. */
  firingRates: Schema.optionalKey(Schema.Array(Schema.Finite)),
  figures: Numbers,
})

export const Figures = Schema.Struct({ kind: Schema.tag("figures"), ...about, figures: Numbers })

/** A way of a library that took too much longer than its fastest, before the rounds began, to go through them. */
export const Slower = Schema.Struct({
  kind: Schema.tag("slower"),
  ...about,
  seconds: Schema.Finite,
  /** What the library's fastest way took. */
  fastest: Schema.Finite,
})

export const Absent = Schema.Struct({ kind: Schema.tag("absent"), subject: Schema.String, reason: Schema.String })

export const Failed = Schema.Struct({ kind: Schema.tag("failed"), ...about, reason: Schema.String })

export const End = Schema.Struct({
  kind: Schema.tag("end"),
  seconds: Schema.Finite,
  /** Whether all was done that was asked for. */
  whole: Schema.Boolean,
})

export const Row = Schema.Union([Run, Timing, Figures, Slower, Absent, Failed, End])

export type Run = typeof Run.Type
export type Timing = typeof Timing.Type
export type Figures = typeof Figures.Type
export type Slower = typeof Slower.Type
export type Absent = typeof Absent.Type
export type Failed = typeof Failed.Type
export type Row = typeof Row.Type

/** Values as people read them: "conv, sltt, T = 4, batch 64". */
export const describeValues = (values: Values): string =>
  Object.entries(values)
    .map(([name, value]) => named[name]?.(value) ?? `${name} ${value}`)
    .join(", ")

const percentage = (value: string | number) => `${Math.round(1e4 * Number(value)) / 100} %`

const named: Readonly<Record<string, (value: string | number) => string>> = {
  model: String,
  policy: String,
  timeSteps: (value) => `T = ${value}`,
  batchSize: (value) => `batch ${value}`,
  weights: String,
  threads: (value) => `${value} thread${value === 1 ? "" : "s"}`,
  density: (value) => `density ${percentage(value)}`,
}

/** What makes a row the same one in two runs. */
export const keyOf = ({ suite, group, subject, values }: Timing | Figures | Failed): string =>
  JSON.stringify([suite, group, subject, Object.entries(values).sort()])
