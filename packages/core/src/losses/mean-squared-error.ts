/** Mean squared error: the mean of (output − target)² over batch, outputs and time. */
import { type Own, own } from "./own.ts"
import type { Made } from "./term.ts"

/**
 * The mean squared error, of each step (the default) or of the read-out's mean over time. A batch's `targets` are real numbers a sample,
 * [N, outputs], or for terms over steps a step, [T, N, outputs].
 *
 * @example Losses.meanSquaredError({ over: "mean" })
 * @throws OptionError
 */
export const meanSquaredError = (options: Partial<Pick<Own, "over" | "weight">> = {}): Made<Own> =>
  own((output, target) => {
    const error = output.minus(target)
    return error.times(error)
  }, options)
