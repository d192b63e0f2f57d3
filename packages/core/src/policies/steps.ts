/** Which time steps are trained: fixed ones, or a random selection for each batch. */

import { Effect, Random } from "effect"

/** A selection of time steps. */
export interface Steps {
  /** Name of the selection, part of the policy's name. */
  readonly name: string
  /** Number of trained steps of `timeSteps`. */
  readonly count: (timeSteps: number) => number
  /** The trained steps of one batch, counted from 0. */
  readonly draw: (timeSteps: number) => Effect.Effect<ReadonlyArray<number>>
}

const range = (length: number): Array<number> => Array.from({ length }, (_, t) => t)

/**
 * A custom selection. `count` must be the number of steps that `draw` returns.
 *
 * @example
 * const first = (k: number) => Steps.custom(`first(${k})`, () => k, () => Effect.succeed(Array.from({ length: k }, (_, t) => t)))
 * const policy = Policy.sltt.pipe(Policy.trainOn(first(2)))
 */
export const custom = (
  name: string,
  count: (timeSteps: number) => number,
  draw: (timeSteps: number) => Effect.Effect<ReadonlyArray<number>>,
): Steps => ({
  name,
  count,
  draw,
})

/** Every step. */
export const all: Steps = custom(
  "all",
  (timeSteps) => timeSteps,
  (timeSteps) => Effect.sync(() => range(timeSteps)),
)

/** The last `k` steps. */
export const last = (k: number): Steps =>
  custom(
    `last(${String(k)})`,
    () => k,
    (timeSteps) => Effect.sync(() => range(k).map((i) => timeSteps - k + i)),
  )

/** Every `n`-th step, counted back from the last step. */
export const every = (n: number): Steps =>
  custom(
    `every(${String(n)})`,
    (timeSteps) => (Number.isInteger(n) && n > 0 ? Math.ceil(timeSteps / n) : 0),
    (timeSteps) => Effect.sync(() => range(timeSteps).filter((t) => (timeSteps - 1 - t) % n === 0)),
  )

/** `k` steps drawn without replacement for each batch; all sets of `k` are equally likely. */
export const sample = (k: number): Steps =>
  custom(
    `sample(${String(k)})`,
    () => k,
    (timeSteps) => Effect.map(Random.shuffle(range(timeSteps)), (order) => order.slice(0, k)),
  )
