/** Sum pooling: average-pool.ts without the division. */
import type { Layer } from "../graph/builder.ts"
import { type PoolOptions, PoolSchema, poolLayer, poolOp } from "./average-pool.ts"

export const sumPoolOp = poolOp("sumPool", () => 1)

/** Sum pooling of images: x [height, width, channels] → y [height', width', channels]. For spikes, it counts them. */
export const sumPool = (options: PoolOptions): Layer => poolLayer("sumPool", sumPoolOp, 3, PoolSchema, options)
