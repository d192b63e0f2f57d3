/**
 * Records of options and settings. Each is described by one Schema and checked at the boundary of the library or command line.
 *
 * A fault describes the option, its value and what was expected; the caller that reports it adds what the record belongs to.
 */

import { Effect, Result, Schema, type SchemaAST, SchemaIssue, SchemaParser } from "effect"
import { OptionError } from "./errors.ts"
import { nearest, quote } from "./text.ts"

export { aFunction, anObject, argument, aString, has, type Kind, someBytes } from "./arguments.ts"
export { OptionError } from "./errors.ts"

/** The first thing wrong with a record. */
export interface Fault {
  /** Path of the option, such as `surrogate.alpha`; empty for the record itself. */
  readonly option: string
  readonly value: unknown
  /** What the option may be, such as `a number greater than 0`; `undefined` if the record has no such option. */
  readonly expected: string | undefined
  /** The known name most similar to an unknown one. */
  readonly similar?: string | undefined
}

/** The Schema of a record of options. */
export type Of<A> = Schema.Struct<{
  readonly [K in keyof A]-?: object extends Pick<A, K>
    ? Schema.optionalKey<Schema.Codec<Exclude<A[K], undefined>>>
    : Schema.Codec<A[K]>
}>

/** A check of values; `expected` completes "it must be …". */
export const must = <A>(expected: string, test: (value: A) => boolean): SchemaAST.Filter<A> =>
  Schema.makeFilter(test, { expected })

const finite = (x: number): boolean => Number.isFinite(Math.fround(x))

/** A number that is finite in float32, the type all backends compute in. */
export const Float32: Schema.Finite = Schema.Finite.check(must("a number within float32's range, ±3.4e38", finite))

/** The smallest normal float32; GPUs flush smaller numbers to 0. */
const tiny = 2 ** -126

/** A number that is greater than 0 after rounding to float32. */
export const Positive: Schema.Finite = Float32.check(
  must("a number greater than 0, from 1.2e-38 to 3.4e38", (x) => x >= tiny),
)

/** A number of at least 0. */
export const NonNegative: Schema.Finite = Float32.check(must("a number from 0 to 3.4e38", (x) => x >= 0))

/** A number from 0 to 1. */
export const Share: Schema.Finite = Float32.check(must("a number from 0 to 1", (x) => x >= 0 && x <= 1))

/** A number of at least 0 and less than 1. */
export const ShareBelowOne: Schema.Finite = Float32.check(
  must("a number of at least 0 and less than 1", (x) => x >= 0 && Math.fround(x) < 1),
)

/** A whole number from `minimum` to `maximum`. */
export const whole = (minimum: number, maximum: number = 2 ** 30): Schema.Int =>
  Schema.Int.check(
    must(
      `a whole number from ${minimum} to ${maximum > 1e6 && 2 ** Math.log2(maximum) === maximum ? `2^${Math.log2(maximum)}` : maximum}`,
      (x) => x >= minimum && x <= maximum,
    ),
  )

/** A number greater than 0 from which another is derived, such as `1/width`, that must be finite in float32. */
export const positiveWith = (formula: string, derived: (x: number) => number): Schema.Finite =>
  Positive.check(
    must(`a number greater than 0 with ${formula} within float32's range, ±3.4e38`, (x) => finite(derived(x))),
  )

/** A description of a Schema's values; `undefined` if the Schema has none. */
export const expectedOf = (schema: Schema.Top): string | undefined => {
  const expected = schema.ast.checks?.at(-1)?.annotations?.expected ?? schema.ast.annotations?.expected
  return typeof expected === "string" ? expected : undefined
}

/** One of the given names. */
export const oneOf = <const Names extends ReadonlyArray<string>>(names: Names): Schema.Literals<Names> =>
  Schema.Literals(names).annotate({ expected: `one of ${names.join(", ")}` })

/** A random key, as Key.make returns it. */
export const RandomKey: Schema.Struct<{ readonly hi: Schema.Int; readonly lo: Schema.Int }> =
  /* @__PURE__ */ Schema.Struct({
    hi: /* @__PURE__ */ whole(0, 2 ** 32 - 1),
    lo: /* @__PURE__ */ whole(0, 2 ** 32 - 1),
  })

/** A boolean. */
export const Flag: Schema.Boolean = Schema.Boolean.annotate({ expected: "true or false" })

/** The properties of a Schema that a path can lead through. */
export interface Part extends Schema.Top {
  readonly fields?: Readonly<Record<PropertyKey, Part>>
  readonly members?: ReadonlyArray<Part>
  readonly literals?: ReadonlyArray<unknown>
  readonly literal?: unknown
  /** For an optional key, the Schema of its value. */
  readonly schema?: Part
  /** For an array, the Schema of its elements. */
  readonly value?: Part
}

/** The Schema of an option's value, without the optional wrapper. */
export const withoutOptional = (part: Part): Part => {
  const { schema, ast } = part
  return schema && ast.context?.isOptional ? withoutOptional(schema) : part
}

/** Whether a union member's literals match the record, such as the name of a surrogate. */
const isMeant =
  (record: unknown) =>
  ({ fields = {} }: Part): boolean =>
    Object.entries(fields).every(
      ([key, { literal }]) => literal === undefined || literal === (record as Record<string, unknown> | null)?.[key],
    )

const partAt = (part: Part | undefined, key: PropertyKey, record: unknown): Part | undefined => {
  if (typeof key === "number") return part?.value
  const members = part?.members?.filter(({ fields }) => fields?.[key])
  const field = part?.fields?.[key] ?? (members?.find(isMeant(record)) ?? members?.[0])?.fields?.[key]
  return field && withoutOptional(field)
}

/** The first issue that a Schema found: its path and its leaf. */
const firstOf = (
  issue: SchemaIssue.Issue,
): { readonly path: ReadonlyArray<PropertyKey>; readonly issue: SchemaIssue.Leaf } => {
  switch (issue._tag) {
    case "Pointer": {
      const first = firstOf(issue.issue)
      return { ...first, path: [...issue.path, ...first.path] }
    }
    case "Filter": {
      const { expected } = issue.filter.annotations ?? {}
      const isPlain = issue.issue._tag === "InvalidValue" && issue.issue.annotations === undefined
      return firstOf(isPlain ? new SchemaIssue.InvalidValue({ expected }) : issue.issue)
    }
    case "Encoding":
      return firstOf(issue.issue)
    case "Composite":
      return firstOf(issue.issues[0])
    case "AnyOf":
      return firstOf(issue.issues[0] ?? new SchemaIssue.InvalidType(issue.ast))
    default:
      return { path: [], issue }
  }
}

const kinds: { readonly [tag: string]: string } = {
  Arrays: "a list",
  Boolean: "true or false",
  Number: "a number",
  Objects: "an object",
  String: "a string",
}

/** A description of the values of a type. */
const valuesOf = (ast: SchemaAST.AST): string => {
  const { expected } = ast.annotations ?? {}
  if (typeof expected === "string") return expected
  if (ast._tag === "Literal") return quote(ast.literal)
  return ast._tag === "Union" ? ast.types.map(valuesOf).join(" or ") : (kinds[ast._tag] ?? "another value")
}

/** The expected value, according to an issue. */
const textOf = (issue: SchemaIssue.Leaf): string => {
  if ("ast" in issue) return valuesOf(issue.ast)
  const { message, expected } = (issue.annotations ?? {}) as Schema.Annotations.Issue
  return String(message ?? expected ?? "another value").replace(/^Expected /, "")
}

/** The first fault of a record, or `undefined`. A key that the Schema lacks is a fault; an `undefined` value counts as absent. */
export const faultIn = (schema: Schema.Codec<unknown>, record: unknown): Fault | undefined => {
  const given =
    typeof record === "object" && record !== null && !Array.isArray(record)
      ? Object.fromEntries(Object.entries(record).filter(([, value]) => value !== undefined))
      : record
  const decoded = SchemaParser.decodeUnknownResult(schema)(given, { onExcessProperty: "error" })
  if (Result.isSuccess(decoded)) return undefined
  const { path, issue } = firstOf(decoded.failure)
  const option = path.map(String).join(".")
  let [value, parents, part] = [given as unknown, undefined as Part | undefined, schema as Part | undefined]
  let parent: unknown
  for (const key of path) {
    parents = part
    parent = value
    part = partAt(part, key, value)
    value = (value as Record<PropertyKey, unknown> | undefined)?.[key]
  }
  if (issue._tag === "UnexpectedKey" && (Array.isArray(parent) || ArrayBuffer.isView(parent)))
    return {
      option: path.slice(0, -1).join("."),
      value: parent,
      expected: (parents && expectedOf(parents)) ?? "another list",
    }
  if (issue._tag === "UnexpectedKey")
    return {
      option,
      value,
      expected: undefined,
      similar: nearest(String(path.at(-1)), Object.keys(parents?.fields ?? {})),
    }
  const expected = (part && expectedOf(part)) ?? (issue._tag === "MissingKey" ? "given" : textOf(issue))
  return {
    option,
    value,
    expected,
    similar:
      typeof value === "string"
        ? nearest(value, part?.literals?.filter((literal) => typeof literal === "string") ?? [])
        : undefined,
  }
}

/**
 * Checks a record of options. Fails with an OptionError that starts with `owner`.
 *
 * @example
 * const error = yield* Effect.flip(Options.check("the loss", LossSchema, { mix: 2, target: "ones" }))
 * error.message // "the loss: mix is 2; it must be a number from 0 to 1"
 */
export const check = <A>(owner: string, schema: Schema.Codec<A>, record: unknown): Effect.Effect<A, OptionError> => {
  const fault = faultIn(schema as Schema.Codec<unknown>, record)
  return fault === undefined ? Effect.succeed(record as A) : Effect.fail(new OptionError({ owner, ...fault }))
}

/**
 * Like {@link check}, for functions that are not Effects.
 *
 * @throws OptionError
 */
export const assert = <A>(owner: string, schema: Schema.Codec<A>, record: unknown): void => {
  const fault = faultIn(schema as Schema.Codec<unknown>, record)
  if (fault !== undefined) throw new OptionError({ owner, ...fault })
}
