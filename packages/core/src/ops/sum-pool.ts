/** Sum pooling: average-pool.ts without the division. */
import type { Layer } from "../graph/builder.ts"
import { type PoolOptions, PoolSchema, poolLayer, poolOp } from "./average-pool.ts"

export const sumPoolOp = poolOp("sumPool", () => 1)

/** The sum over each window of an image: of spikes, their number. */
export const sumPool = (options: PoolOptions): Layer => poolLayer("sumPool", sumPoolOp, 3, PoolSchema, options)
