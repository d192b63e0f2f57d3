/** Mean squared error: the mean of (value − target)² over batch, elements and time. */
import { type Own, own } from "./own.ts"
import type { Made } from "./term.ts"

/**
 * The mean squared error, of each step (the default) or of the sum, mean, maximum or last step. A batch's `targets` are real numbers a
 * sample, [N, outputs], or for terms over steps a step, [T, N, outputs].
 *
 * @example Losses.meanSquaredError({ over: "mean" })
 * @throws OptionError
 */
export const meanSquaredError = (options: Partial<Pick<Own, "over" | "weight" | "node">> = {}): Made<Own> =>
  own((value, target) => {
    const error = value.minus(target)
    return error.times(error)
  }, options)
