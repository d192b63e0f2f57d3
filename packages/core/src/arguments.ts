/**
 * Run-time checks of argument types. An argument of a wrong type is a defect of the calling program: functions throw an OptionError
 * that names the function and the argument, and Effects die with it.
 */
import { Data } from "effect"
import { line, quote } from "./text.ts"

/** A kind of value: its description for messages, and its test. */
export type Kind = readonly [expected: string, test: (value: unknown) => boolean]

/** Whether a value is an object that has all of these properties. */
export const has =
  (...keys: ReadonlyArray<string>) =>
  (value: unknown): boolean =>
    typeof value === "object" &&
    value !== null &&
    !Array.isArray(value) &&
    keys.every((key) => (value as Record<string, unknown>)[key] !== undefined)

/** A function. */
export const aFunction: Kind = ["a function", (value) => typeof value === "function"]
export const aList: Kind = ["a list", (value) => Array.isArray(value)]
export const aNumber: Kind = ["a number", (value) => typeof value === "number" && !Number.isNaN(value)]
export const aCount: Kind = ["a whole number", (value) => Number.isSafeInteger(value) && (value as number) >= 0]
/** A string. */
export const aString: Kind = ["a string", (value) => typeof value === "string"]
/** An object, not an array. */
export const anObject: Kind = ["an object", /* @__PURE__ */ has()]
export const someFloats: Kind = ["a Float32Array", (value) => value instanceof Float32Array]
export const someWords: Kind = ["a Uint32Array", (value) => value instanceof Uint32Array]
/** A Uint8Array. */
export const someBytes: Kind = ["a Uint8Array", (value) => value instanceof Uint8Array]
export const someNumbers: Kind = ["an array of numbers", (value) => Array.isArray(value) || ArrayBuffer.isView(value)]
export const aMap: Kind = ["a Map by name", (value) => value instanceof Map]
export const aGraph: Kind = ["a graph from Graph.make", /* @__PURE__ */ has("nodes", "parameters", "types")]
export const aProgram: Kind = ["a program from Program.compile", /* @__PURE__ */ has("buffers", "segments")]
export const aKey: Kind = ["a random key", /* @__PURE__ */ has("hi", "lo")]
export const aPolicy: Kind = ["a policy", /* @__PURE__ */ has("name", "detached")]

/**
 * Returns the argument if it is of the given kind. `owner` is the function, `option` the argument unless the kind already names it.
 *
 * @throws OptionError if the value is of another kind
 */
export const argument = <A>(value: A, [expected, test]: Kind, owner = "an argument", option = ""): A => {
  if (!test(value)) throw new OptionError({ owner, option, value, expected })
  return value
}

/** An argument or an option is missing, unknown or out of range. Nothing has been done. */
export class OptionError extends Data.Error<{
  /** What the option belongs to, such as `the optimiser`. */
  readonly owner: string
  /** Path of the option, such as `beta1`; empty for the whole record. */
  readonly option: string
  readonly value: unknown
  /** What the value must be, such as `a number from 0 to 1`; `undefined` if no option has this name. */
  readonly expected: string | undefined
  /** The existing name that was most likely meant. */
  readonly similar?: string | undefined
}> {
  readonly _tag = "OptionError"
  override readonly name = "OptionError"

  override get message(): string {
    return line(`${this.owner}: ${describeFault(this)}`)
  }
}

/** Describes a fault in one line: `beta1 is 1; it must be a number of at least 0 and less than 1`. */
export const describeFault = (fault: Pick<OptionError, "option" | "value" | "expected" | "similar">): string => {
  const { option, value, expected, similar } = fault
  const named = option === "" ? "the value" : option
  const hint = similar === undefined ? "" : ` (did you mean "${similar}"?)`
  if (expected === undefined) return `there is no option ${quote(option)}${hint}`
  return value === undefined
    ? `${named} is missing; it must be ${expected}`
    : `${named} is ${quote(value)}; it must be ${expected}${hint}`
}
