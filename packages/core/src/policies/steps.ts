/** Which time steps are trained: fixed ones, or drawn anew for each batch. */

import { Effect, Random } from "effect"

export interface Steps {
  readonly name: string
  /** How many of `timeSteps` are trained. */
  readonly count: (timeSteps: number) => number
  /** The trained steps of one batch, counted from 0. */
  readonly draw: (timeSteps: number) => Effect.Effect<ReadonlyArray<number>>
}

const range = (length: number): Array<number> => Array.from({ length }, (_, t) => t)

/** Steps of a person's own. `count` is how many `draw` gives. */
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

/** Every `n`-th step, the last step among them. */
export const every = (n: number): Steps =>
  custom(
    `every(${String(n)})`,
    (timeSteps) => (Number.isInteger(n) && n > 0 ? Math.ceil(timeSteps / n) : 0),
    (timeSteps) => Effect.sync(() => range(timeSteps).filter((t) => (timeSteps - 1 - t) % n === 0)),
  )

/** `k` steps without replacement, drawn anew for each batch; all sets of `k` are equally likely. */
export const sample = (k: number): Steps =>
  custom(
    `sample(${String(k)})`,
    () => k,
    (timeSteps) => Effect.map(Random.shuffle(range(timeSteps)), (order) => order.slice(0, k)),
  )
