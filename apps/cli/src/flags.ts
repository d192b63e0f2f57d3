/** Command flags that are not settings of a run, checked by one Schema per command. */
import { describeFault, Options, Policy, Program, quote } from "@spikeroute/core"
import { OpenSchema } from "@spikeroute/datasets"
import { type Discretisation, DiscretisationSchema } from "@spikeroute/nir"
import { Effect, Schema } from "effect"
import { flagName } from "./config.ts"
import { UsageError } from "./errors.ts"

const { oneOf, whole } = Options
const { batchSize, timeSteps } = Program.TrainingSchema.fields
const checkpoint = oneOf(["last", "best"])

const prefixes: Readonly<Record<string, number>> = { n: 1e-9, u: 1e-6, µ: 1e-6, m: 1e-3, "": 1, k: 1e3, M: 1e6, G: 1e9 }

/** Parses a positive number with an SI prefix and a unit, such as 10Gb; `units` gives the factor of each unit. */
export const quantityOf = (text: string, units: Readonly<Record<string, number>>): number | undefined => {
  const [, number, prefix = "", unit = ""] = /^(\d+(?:\.\d+)?) ?([nuµmkMG]?)([a-zA-Z])$/.exec(text) ?? []
  const value = Number(number) * (prefixes[prefix] ?? Number.NaN) * (units[unit] ?? Number.NaN)
  return value > 0 ? value : undefined
}

const quantity = (expected: string, units: Readonly<Record<string, number>>) =>
  Schema.optionalKey(Schema.String.check(Options.must(expected, (text) => quantityOf(text, units) !== undefined)))

const { dataDir: path } = OpenSchema.fields

export const commandFlags = {
  train: Schema.Struct({ config: path, out: path, resume: path }),
  /** `backend`: only backends that allocate all their memory before they run. */
  plan: Schema.Struct({
    config: path,
    backend: Schema.optionalKey(oneOf(["native", "wasm", "webgpu", "reference"])),
    ranks: Schema.optionalKey(whole(1, 2 ** 20)),
    bandwidth: quantity("a bandwidth, as 10Gb or 1.2GB a second", { b: 1 / 8, B: 1 }),
    latency: quantity("a time, as 50us or 2ms", { s: 1 }),
    step: quantity("a time, as 20ms or 1.5s", { s: 1 }),
  }),
  compare: Schema.Struct({
    config: path,
    checkpoint,
    policies: Schema.Array(oneOf(Policy.policyNames)),
    batches: whole(1),
    train: whole(0),
  }),
  eval: Schema.Struct({ checkpoint, margins: Schema.optionalKey(Schema.Array(Options.NonNegative)) }),
  inspect: Schema.Struct({ checkpoint }),
  import: Schema.Struct({ config: path, out: path, ...DiscretisationSchema.fields }),
  export: Schema.Struct({
    out: path,
    checkpoint,
    format: oneOf(["safetensors", "program", "nir"]),
    batchSize: Schema.optionalKey(batchSize),
    timeSteps: Schema.optionalKey(timeSteps),
    ...DiscretisationSchema.fields,
  }),
}

/** The flags of a discretisation, unchecked. */
export type DiscretisationFlags = Readonly<Record<keyof Discretisation, unknown>>

/** The flags that were given. */
export const defined = <A extends object>(flags: A): { readonly [K in keyof A]?: Exclude<A[K], undefined> } =>
  Object.fromEntries(Object.entries(flags).filter(([, value]) => value !== undefined)) as never

type Flags = { readonly [C in keyof typeof commandFlags]: (typeof commandFlags)[C]["Type"] }

/** Checks the flags of a command. Lists are checked element by element; the error names the flag. */
export const checkFlags = <C extends keyof Flags>(
  command: C,
  given: { readonly [F in keyof Flags[C]]: unknown },
): Effect.Effect<Flags[C], UsageError> => {
  const fault = Options.faultIn(commandFlags[command] as Schema.Codec<unknown>, given)
  if (fault === undefined) return Effect.succeed(given as Flags[C])
  const [option = "", element] = fault.option.split(".")
  const { value, expected, similar } = fault
  const hint = similar === undefined ? "" : ` (did you mean "${similar}"?)`
  const reason =
    element === undefined
      ? describeFault({ ...fault, option: flagName(option) })
      : `${flagName(option)} has ${quote(value)}; each must be ${expected}${hint}`
  return Effect.fail(new UsageError({ reason }))
}
