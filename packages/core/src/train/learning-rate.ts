/** Learning-rate schedules: the rate as a function of the elapsed epochs, including fractions. */
import { Schema } from "effect"
import { OptionError } from "../errors.ts"
import { faultIn, NonNegative, oneOf, Positive } from "../options.ts"

/** A learning-rate schedule. */
export interface Schedule {
  readonly name: "constant" | "step" | "cosine"
  /** Number of epochs over which the rate increases linearly from 1 % of its value; at most the epochs of the run. */
  readonly warmUp: number
  /** For `step`: number of epochs between two drops, and the factor of each; both greater than 0. */
  readonly stepSize: number
  readonly gamma: number
}

/** The Schema of {@link Schedule}. */
export const ScheduleSchema: Schema.Struct<{
  readonly name: Schema.Literals<ReadonlyArray<Schedule["name"]>>
  readonly warmUp: Schema.Finite
  readonly stepSize: Schema.Finite
  readonly gamma: Schema.Finite
}> = Schema.Struct({
  name: oneOf(["constant", "step", "cosine"]),
  warmUp: NonNegative,
  stepSize: Positive,
  gamma: Positive,
})

/** Initial factor of a warm-up. Not 0, so that the first update has an effect (as in torchvision's recipes). */
const warmUpStart = 0.01

/**
 * Number of whole steps in `epoch` epochs. Epochs are sums of fractions, so values slightly below a whole number due to rounding
 * count as whole.
 */
const wholeSteps = (epoch: number, stepSize: number): number => Math.floor((epoch / stepSize) * (1 + 1e-12))

const shapes: { readonly [N in Schedule["name"]]: (schedule: Schedule, epoch: number, epochs: number) => number } = {
  constant: () => 1,
  step: ({ stepSize, gamma }, epoch) => gamma ** wholeSteps(epoch, stepSize),
  cosine: ({ warmUp }, epoch, epochs) =>
    (1 + Math.cos((Math.PI * (epoch - warmUp)) / Math.max(epochs - warmUp, 1e-9))) / 2,
}

/** The fault of a schedule for a run of `epochs` epochs, if any. */
export const scheduleFault = (schedule: Schedule, epochs: number): OptionError | undefined => {
  const owner = "the learning-rate schedule"
  const fault = faultIn(ScheduleSchema as Schema.Codec<unknown>, schedule)
  if (fault !== undefined) return new OptionError({ owner, ...fault })
  if (!(Number.isFinite(epochs) && epochs > 0))
    return new OptionError({ owner, option: "epochs", value: epochs, expected: "a number greater than 0" })
  const { warmUp: value } = schedule
  const expected = `at most ${epochs}, the epochs of the run`
  return value > epochs ? new OptionError({ owner, option: "warmUp", value, expected }) : undefined
}

/**
 * The learning rate after `epoch` of `epochs`: base·warm-up(epoch)·shape(epoch). A warm-up increases it linearly from 1 % of the
 * base rate; `cosine` ends at 0.
 *
 * @throws OptionError for a schedule or numbers out of range, or a warm-up longer than the run
 * @example
 * Train.learningRate({ name: "cosine", warmUp: 5, stepSize: 1, gamma: 1 }, 0.1, 10, 100)
 */
export const learningRate = (schedule: Schedule, base: number, epoch: number, epochs: number): number => {
  const error = scheduleFault(schedule, epochs)
  if (error !== undefined) throw error
  const refuse = (option: string, value: number, expected: string) => {
    throw new OptionError({ owner: "the learning rate", option, value, expected })
  }
  if (!(Number.isFinite(base) && base >= 0)) refuse("base", base, "a number of at least 0")
  if (!(Number.isFinite(epoch) && epoch >= 0 && epoch <= epochs))
    refuse("epoch", epoch, `a number from 0 to ${epochs}, the epochs of the run`)
  return epoch < schedule.warmUp
    ? base * (warmUpStart + ((1 - warmUpStart) * epoch) / schedule.warmUp)
    : base * shapes[schedule.name](schedule, epoch, epochs)
}
