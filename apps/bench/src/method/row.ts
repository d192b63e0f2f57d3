/**
 * The results of a benchmark run: a file of JSON lines. The first describes the run; then come timings, figures, and what was absent or
 * failed; the last says how the run ended. Each line is written as soon as it is known, so an interrupted run keeps its results.
 */
import { Schema } from "effect"

const Numbers = Schema.Record(Schema.String, Schema.Finite)

/** Parameters of a case: model, time steps, density, … */
const Values = Schema.Record(Schema.String, Schema.Union([Schema.String, Schema.Finite]))

export type Values = typeof Values.Type

/** The subject of a row; rows of one `group` were measured side by side. */
const about = {
  suite: Schema.String,
  group: Schema.String,
  /** A backend or a peer. */
  subject: Schema.String,
  /** The library that it belongs to, if not Spikeroute. */
  peer: Schema.optionalKey(Schema.String),
  values: Values,
}

/** Correctness of a subject's outputs, checked before it was timed. */
export const Check = Schema.Struct({
  /** The reference. */
  against: Schema.String,
  /** Largest difference divided by the largest value. */
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
  /** Seconds of one unit of work, one per round; rounds of the subjects of a group correspond. */
  seconds: Schema.Array(Schema.Finite),
  /** The sitting of each round; everything is closed and reopened between sittings. */
  sittings: Schema.Array(Schema.Int),
  /** Average number of processors that others kept busy in each round; absent if the system does not report it. */
  others: Schema.optionalKey(Schema.Array(Schema.Finite)),
  check: Schema.optionalKey(Check),
  loss: Schema.optionalKey(Schema.Finite),
  /** Spikes per neuron and time step, for each layer of neurons. */
  firingRates: Schema.optionalKey(Schema.Array(Schema.Finite)),
  figures: Numbers,
})

export const Figures = Schema.Struct({ kind: Schema.tag("figures"), ...about, figures: Numbers })

/** A library's variant that was excluded because it was much slower than the library's fastest. */
export const Slower = Schema.Struct({
  kind: Schema.tag("slower"),
  ...about,
  seconds: Schema.Finite,
  /** Seconds of the library's fastest variant. */
  fastest: Schema.Finite,
})

export const Absent = Schema.Struct({ kind: Schema.tag("absent"), subject: Schema.String, reason: Schema.String })

export const Failed = Schema.Struct({ kind: Schema.tag("failed"), ...about, reason: Schema.String })

export const End = Schema.Struct({
  kind: Schema.tag("end"),
  seconds: Schema.Finite,
  /** Whether everything requested was measured. */
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

/** Formats values: "conv, sltt, T = 4, batch 64". */
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

/** Identifies the same row in different runs. */
export const keyOf = ({ suite, group, subject, values }: Timing | Figures | Failed): string =>
  JSON.stringify([suite, group, subject, Object.entries(values).sort()])
