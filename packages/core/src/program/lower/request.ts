import type { Objective } from "../../losses/index.ts"
import type { Mode } from "../../op.ts"
import type { Optimizer } from "../../optimizers/optimizer.ts"
import type { Share } from "../options.ts"
import type { Encoding } from "../program.ts"
import type { Decay } from "../traces.ts"
import type { Trained } from "../weights.ts"
import type { Analysis } from "./analysis.ts"
import type { Rates } from "./rates.ts"

/** What a program is lowered for: a policy and options, all decided. */
export interface Request {
  readonly mode: Mode
  readonly batchSize: number
  readonly microBatches: number
  /** Which share of a larger batch it is. */
  readonly share?: Share
  readonly timeSteps: number
  readonly encoding: Encoding
  /** Nodes whose values stay readable. */
  readonly observe: ReadonlyArray<string>
  /** Nodes and states whose values of all steps stay readable. */
  readonly record: ReadonlyArray<string>
  /** Nodes that the terms of the loss are at. */
  readonly measured: ReadonlyArray<string>
  /** Steps that gradient can cross; 1 if none crosses time. */
  readonly window: number
  /** Steps from one checkpoint to the next; the window if there are none. */
  readonly checkpointInterval: number
  /** Weight layers that have a presynaptic trace, by name. */
  readonly traces: ReadonlyMap<string, Decay>
  /** Whether the policy cuts a temporal edge. */
  readonly isCut: (edge: string) => boolean
  /** Whether the outputs of weight layers are recomputed in the backward direction rather than stored. */
  readonly recompute: boolean
  /** How eligibility traces come into the graph, if they do, through the edges that the policy leaves. */
  readonly eligibility?: ((analysis: Analysis, request: Request) => Analysis) | undefined
  /** How the backward direction runs once, at the means over time, if it does. */
  readonly rates?: Rates | undefined
  /** Whether some steps inside a window may have no loss. */
  readonly partial: boolean
  readonly trainedSteps: number
  readonly policy: string
  /** Whether the outputs are those of each step, not their sum. */
  readonly outputs?: "sum" | "step"
  readonly loss: Objective | undefined
  /** How often steps run forward for a loss that is a function of the whole run. */
  readonly forwardRuns?: 1 | 2 | undefined
  readonly optimizer: Optimizer | undefined
  /** Which weights are trained, and how; none in inference. */
  readonly trained?: Trained
  /** What gradients are clipped to before an update. */
  readonly clipNorm?: number | undefined
  readonly clipValue?: number | undefined
  /** Whether what does not change over time leaves the time loop. */
  readonly hoist: boolean
}
