/** Shared argument checks. */
import { must, OptionError, oneOf, whole } from "@spikeroute/core/options"
import { Effect, Schema } from "effect"

/** Schema of any function. */
export const Callable: Schema.Unknown = Schema.Unknown.check(must("a function", (x) => typeof x === "function"))

/** Schema of the seed of generated data. */
export const Seed: Schema.Int = whole(0, Number.MAX_SAFE_INTEGER)

/** Schema of `Framing`. */
export const FramingSchema: Schema.Literals<readonly ["count", "duration"]> = oneOf(["count", "duration"])

/** Greatest number of elements in a buffer. */
const mostElements = 2 ** 30

const wrong = (option: string, value: unknown, expected: string, owner: string) =>
  new OptionError({ owner, option, value, expected })

/** @throws OptionError unless `value` is a whole number from 1 to 2³⁰ */
export const assertCount = (owner: string, option: string, value: number): void => {
  if (!(Number.isInteger(value) && value >= 1 && value <= mostElements))
    throw wrong(option, value, `a whole number from 1 to ${mostElements}`, owner)
}

/** @throws OptionError unless `bytes` is a Uint8Array */
export const assertBytes = (owner: string, bytes: unknown): void => {
  if (!(bytes instanceof Uint8Array)) throw wrong("bytes", bytes, "a Uint8Array", owner)
}

/** @throws OptionError unless `text` is a string */
export const assertText = (owner: string, text: unknown): void => {
  if (typeof text !== "string") throw wrong("text", text, "a string", owner)
}

/** Checks the arguments of `Split.write`; returns an error if a sample does not exist or the buffer has the wrong length. */
export const batchProblem = (
  size: number,
  samples: ArrayLike<number>,
  keys: ReadonlyArray<unknown> | undefined,
  out: Float32Array,
  sampleSize: number,
  timeSteps: number,
): OptionError | undefined => {
  const owner = "the batch"
  for (let i = 0; i < samples.length; i++) {
    const sample = samples[i] as number
    if (!(Number.isInteger(sample) && sample >= 0 && sample < size))
      return wrong(`samples.${i}`, sample, `a whole number from 0 to ${size - 1}`, owner)
  }
  if (keys !== undefined && keys.length !== samples.length)
    return wrong("keys", keys.length, `as many as samples, ${samples.length}`, owner)
  const length = samples.length * sampleSize
  if (!(out instanceof Float32Array)) return wrong("out", out, "a Float32Array", owner)
  return out.length === length * timeSteps
    ? undefined
    : wrong("timeSteps", out.length / length, `${timeSteps}, for which the data set was opened`, owner)
}

/** The number of elements in a batch's inputs, or an error if it exceeds the maximum. */
export const inputLength = (batchSize: number, timeSteps: number, sampleSize: number): number | OptionError => {
  const length = batchSize * timeSteps * sampleSize
  const most = Math.floor(mostElements / (timeSteps * sampleSize))
  return length <= mostElements
    ? length
    : wrong("batchSize", batchSize, `at most ${most} for ${timeSteps} × ${sampleSize} values a sample`, "a batch")
}

/** Runs a function that may throw an `OptionError`, such as a transform. */
export const attempt = <A>(run: () => A): Effect.Effect<A, OptionError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (error instanceof OptionError) return Effect.fail(error)
      throw error
    }
  })
