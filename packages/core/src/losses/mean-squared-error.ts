/** Mean squared error: the mean of (value − target)² over batch, elements and time. */
import { type Own, own } from "./own.ts"
import type { Made } from "./term.ts"

/**
 * Mean squared error of each step's value (the default), or of its sum, mean or maximum over time, or of the last step. A batch's
 * `targets` are numbers per sample, [N, outputs]; terms over steps also accept [T, N, outputs].
 *
 * @example Losses.meanSquaredError({ over: "mean" })
 * @throws OptionError for invalid options
 */
export const meanSquaredError = (options: Partial<Pick<Own, "over" | "weight" | "node">> = {}): Made<Own> =>
  own((value, target) => {
    const error = value.minus(target)
    return error.times(error)
  }, options)
