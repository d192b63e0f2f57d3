/** What the checks of arguments share. */
import { must, OptionError, oneOf, whole } from "@spikeroute/core/options"
import { Effect, Schema } from "effect"

/** A function, of whatever it may be. */
export const Callable: Schema.Unknown = Schema.Unknown.check(must("a function", (x) => typeof x === "function"))

/** The seed of data that are generated. */
export const Seed: Schema.Int = whole(0, Number.MAX_SAFE_INTEGER)

/** How events are cut into frames. */
export const FramingSchema: Schema.Literals<readonly ["count", "duration"]> = oneOf(["count", "duration"])

/** Elements of a buffer at most. */
const mostElements = 2 ** 30

const wrong = (option: string, value: unknown, expected: string, owner: string) =>
  new OptionError({ owner, option, value, expected })

/** @throws OptionError unless it is a whole number of at least 1 */
export const assertCount = (owner: string, option: string, value: number): void => {
  if (!(Number.isInteger(value) && value >= 1 && value <= mostElements))
    throw wrong(option, value, `a whole number from 1 to ${mostElements}`, owner)
}

/** @throws OptionError unless these are the bytes of a file */
export const assertBytes = (owner: string, bytes: unknown): void => {
  if (!(bytes instanceof Uint8Array)) throw wrong("bytes", bytes, "a Uint8Array", owner)
}

/** @throws OptionError unless this is the text of a file */
export const assertText = (owner: string, text: unknown): void => {
  if (typeof text !== "string") throw wrong("text", text, "a string", owner)
}

/** What is wrong with a batch that samples are to be written into: samples that there are not, or room for other ones. */
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

/** The length of a batch's inputs, or what is wrong where no array holds them. */
export const inputLength = (batchSize: number, timeSteps: number, sampleSize: number): number | OptionError => {
  const length = batchSize * timeSteps * sampleSize
  const most = Math.floor(mostElements / (timeSteps * sampleSize))
  return length <= mostElements
    ? length
    : wrong("batchSize", batchSize, `at most ${most} for ${timeSteps} × ${sampleSize} values a sample`, "a batch")
}

/** Runs what may throw an `OptionError`, as transforms do. */
export const attempt = <A>(run: () => A): Effect.Effect<A, OptionError> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(run())
    } catch (error) {
      if (error instanceof OptionError) return Effect.fail(error)
      throw error
    }
  })
