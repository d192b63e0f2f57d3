/** Learning-rate schedules: the rate as a function of the epochs gone by, fractions included. */
import { Schema } from "effect"

export interface Schedule {
  readonly name: "constant" | "step" | "cosine"
  /** Epochs over which the rate climbs linearly from 0. */
  readonly warmUp: number
  /** step: epochs between two drops, and the factor of each. */
  readonly stepSize: number
  readonly gamma: number
}

export const ScheduleSchema: Schema.Struct<{
  readonly name: Schema.Literals<ReadonlyArray<Schedule["name"]>>
  readonly warmUp: Schema.Finite
  readonly stepSize: Schema.Finite
  readonly gamma: Schema.Finite
}> = Schema.Struct({
  name: Schema.Literals(["constant", "step", "cosine"]),
  warmUp: Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)),
  stepSize: Schema.Finite.check(Schema.isGreaterThan(0)),
  gamma: Schema.Finite.check(Schema.isGreaterThan(0)),
})

const shapes: { readonly [N in Schedule["name"]]: (schedule: Schedule, epoch: number, epochs: number) => number } = {
  constant: () => 1,
  step: ({ stepSize, gamma }, epoch) => gamma ** Math.floor(epoch / stepSize),
  cosine: ({ warmUp }, epoch, epochs) =>
    (1 + Math.cos((Math.PI * (epoch - warmUp)) / Math.max(epochs - warmUp, 1e-9))) / 2,
}

/** The rate after `epoch` of `epochs`, for a base rate: η·warm-up(epoch)·shape(epoch); cosine ends at 0. */
export const learningRate = (schedule: Schedule, base: number, epoch: number, epochs: number): number =>
  epoch < schedule.warmUp ? (base * epoch) / schedule.warmUp : base * shapes[schedule.name](schedule, epoch, epochs)
