import type { Objective } from "../../losses/index.ts"
import type { Mode } from "../../op.ts"
import type { Optimizer } from "../../optimizers/optimizer.ts"
import type { Share } from "../options.ts"
import type { Encoding } from "../program.ts"
import type { Decay } from "../traces.ts"
import type { Trained } from "../weights.ts"
import type { Analysis } from "./analysis.ts"
import type { Rates } from "./rates.ts"

/** What to lower a graph for: policy and options, with all choices made. */
export interface Request {
  readonly mode: Mode
  readonly batchSize: number
  readonly microBatches: number
  /** The share of a larger batch. */
  readonly share?: Share
  readonly timeSteps: number
  readonly encoding: Encoding
  /** Nodes whose values can be read after a step. */
  readonly observe: ReadonlyArray<string>
  /** Nodes and states whose values of every step can be read. */
  readonly record: ReadonlyArray<string>
  /** Nodes that the terms of the loss measure. */
  readonly measured: ReadonlyArray<string>
  /** Number of steps within which gradient flows; 1 if none crosses time steps. */
  readonly window: number
  /** Number of steps between checkpoints; the window if there are none. */
  readonly checkpointInterval: number
  /** Weight layers that have a presynaptic trace, by name. */
  readonly traces: ReadonlyMap<string, Decay>
  /** Whether the policy cuts a temporal edge. */
  readonly isCut: (edge: string) => boolean
  /** Whether the backward direction recomputes the outputs of weight layers instead of storing them. */
  readonly recompute: boolean
  /** Adds eligibility traces for the edges that the policy does not cut, if the policy uses them. */
  readonly eligibility?: ((analysis: Analysis, request: Request) => Analysis) | undefined
  /** The lowering of rate-based backpropagation, if the policy uses it. */
  readonly rates?: Rates | undefined
  /** Whether some steps within a window may have no loss. */
  readonly partial: boolean
  readonly trainedSteps: number
  readonly policy: string
  /** Whether outputs are summed over time or given for each step. */
  readonly outputs?: "sum" | "step"
  readonly loss: Objective | undefined
  /** How often steps run forward, for a loss that is a function of the whole run. */
  readonly forwardRuns?: 1 | 2 | undefined
  readonly optimizer: Optimizer | undefined
  /** Which weights are trained, and how; absent in inference. */
  readonly trained?: Trained
  /** Limits for gradients before an update. */
  readonly clipNorm?: number | undefined
  readonly clipValue?: number | undefined
  /** Whether time-invariant values are computed outside the time loop. */
  readonly hoist: boolean
}
