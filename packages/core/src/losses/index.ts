/**
 * Losses: the loss of one class per sample, or a sum of terms.
 *
 * @example
 * const loss = [Losses.crossEntropy(), Losses.firingRate({ rate: 0.1 })]
 */
import type { Loss } from "../loss.ts"
import type { CrossEntropy } from "./cross-entropy.ts"
import type { FiringRate } from "./firing-rate.ts"
import type { Own } from "./own.ts"
import type { SpikeCount } from "./spike-count.ts"
import type { Made } from "./term.ts"

export { type CrossEntropy, crossEntropy } from "./cross-entropy.ts"
export { type FiringRate, firingRate } from "./firing-rate.ts"
export { type FiringRateBounds, FiringRateBoundsSchema, firingRateBounds } from "./firing-rate-bounds.ts"
export { meanSquaredError } from "./mean-squared-error.ts"
export { type Own, type OwnOptions, own } from "./own.ts"
export { type SpikeCount, spikeCount } from "./spike-count.ts"
export type { Over } from "./term.ts"

/** A term of a loss, as its constructor returns it. */
export type LossTerm = Made<CrossEntropy> | Made<FiringRate> | Made<Own> | Made<SpikeCount>

/** The objective: the loss of one class per sample at every step, or a sum of terms. */
export type Objective = Loss | ReadonlyArray<LossTerm>
