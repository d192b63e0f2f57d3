/**
 * Records of options and settings, each described by one Schema, checked where they enter the library or the command line.
 *
 * A fault says where it is, what stands there and what is expected; whoever reports it adds what the record belongs to.
 */
import { Effect, Result, Schema, SchemaIssue } from "effect"
import { OptionError } from "./errors.ts"

/** The first thing wrong with a record. */
export interface Fault {
  /** The path of the option, as `surrogate.alpha`; empty for the record itself. */
  readonly option: string
  readonly value: unknown
  /** What the option may be, as `a number greater than 0`; `undefined` where the record has no such option. */
  readonly expected: string | undefined
}

/** A number that is finite in float32, in which all backends compute. */
export const Float32: Schema.Finite = Schema.Finite.check(
  Schema.makeFilter(
    (x: number) => Number.isFinite(Math.fround(x)) || "Expected a number within float32's range, ±3.4e38",
  ),
)

/** A number greater than 0, in float32 as well. */
export const Positive: Schema.Finite = Float32.check(
  Schema.makeFilter(
    (x: number) => Math.fround(x) > 0 || "Expected a number greater than 0 (in float32: at least 1.4e-45)",
  ),
)

/** A number of at least 0. */
export const NonNegative: Schema.Finite = Float32.check(
  Schema.makeFilter((x: number) => x >= 0 || "Expected a number of at least 0"),
)

/** A number from 0 to 1. */
export const Share: Schema.Finite = Float32.check(
  Schema.makeFilter((x: number) => (x >= 0 && x <= 1) || "Expected a number from 0 to 1"),
)

/** A number of at least 0 and less than 1. */
export const ShareBelowOne: Schema.Finite = Float32.check(
  Schema.makeFilter((x: number) => (x >= 0 && Math.fround(x) < 1) || "Expected a number of at least 0 and less than 1"),
)

/** A whole number from `minimum` to `maximum`. */
export const whole = (minimum: number, maximum: number = 2 ** 30): Schema.Int =>
  Schema.Int.check(
    Schema.makeFilter(
      (x: number) => (x >= minimum && x <= maximum) || `Expected a whole number from ${minimum} to ${maximum}`,
    ),
  )

/** The first fault of a record, `undefined` if it has none. An option that the Schema does not know is a fault. */
export const faultIn = (schema: Schema.Codec<unknown>, record: unknown): Fault | undefined => {
  const decoded = Schema.decodeUnknownResult(schema)(record, { onExcessProperty: "error" })
  if (Result.isSuccess(decoded)) return undefined
  const [issue] = SchemaIssue.makeFormatterStandardSchemaV1()(decoded.failure.issue).issues
  const path = (issue?.path ?? []).map((part) => (typeof part === "object" ? part.key : part))
  const value = path.reduce<unknown>((at, key) => (at as Record<PropertyKey, unknown> | undefined)?.[key], record)
  const message = issue?.message ?? ""
  const expected = message === "Missing key" ? "a value" : message.replace(/^Expected /, "")
  return {
    option: path.map(String).join("."),
    value,
    expected: expected === "no excess property" ? undefined : expected,
  }
}

/**
 * Checks a record of options.
 *
 * @example
 * yield* Options.check("the loss", LossSchema, { mix: 2, target: "ones" })
 * // OptionError: the loss: mix is 2; it must be a number from 0 to 1
 */
export const check = <A>(owner: string, schema: Schema.Codec<A>, record: unknown): Effect.Effect<A, OptionError> => {
  const fault = faultIn(schema as Schema.Codec<unknown>, record)
  return fault === undefined ? Effect.succeed(record as A) : Effect.fail(new OptionError({ owner, ...fault }))
}
